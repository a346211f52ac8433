"""An example of a manifest, with comments that explain the columns."""

from __future__ import annotations

_TEMPLATE = """\
# One row per trial, for `milmer prepare --manifest` and `milmer predict --manifest`.
# Lines that start with # are ignored, and so are columns whose name starts with #.
# participant    name: letters, digits and . _ -
# session        session of the participant; empty if there was only one
# trial          1, 2, ... in order of presentation
# stimulus       stimulus (clip): a number or a name, the same for all participants
# eeg            BDF, EDF, GDF, FIF, BrainVision (.vhdr) or EEGLAB (.set) file; empty for none; or
#                a MATLAB file (.mat) with an array, which these columns describe:
# eeg_array      variable and axes of the trial's array, with indices from 1: seg(time,channel,17),
#                or joined_data{5}(time,channel) of an array in a cell
# eeg_sfreq_hz   its sampling rate, in Hz
# eeg_array_channels    names of its channels in order, separated by ; (empty for 1, 2, ...)
# eeg_unit       unit of the numbers: nV, uV, mV or V; empty for that of the file. An array has none
# eeg_onset_s    start of the stimulus in the EEG file, in seconds; empty for 0
# eeg_event      event at which the stimulus starts, instead of eeg_onset_s: text of an annotation
#                or code of the trigger channel; `milmer inspect EEG` lists them
# eeg_event_number    which of several events of this name; empty for the number of the trial
# video          any video file; empty for none. Paths are absolute, or relative to this file
# video_onset_s  start of the stimulus in the video, in seconds after its first frame; empty for 0,
#                negative if the video starts after the stimulus
# video_stream   number of the video stream, from 1; empty for the first one with a face
# video_fps      frame rate of a video without time stamps (.h264, .mjpeg); empty for any other
# duration_s     duration of the stimulus; empty for that of the annotation in eeg_event, or for up
#                to the end of the EEG file
# valence arousal dominance liking    ratings of the participant; empty if not asked for
# valence_range ...                   their scale, as lowest-highest; empty for 1-9
# label          name of the class, instead of ratings
# condition      experimental condition, such as listening or speaking, to filter and group by
# eog            EOG channels separated by ; with A-B for a difference of two channels
# eeg_channels   EEG channels to use, in order, separated by ; empty for all channels that are named
#                like electrodes (10-05 system) in all files
# eeg_bads       bad EEG channels, separated by ; in addition to those that the file marks
# line_freq_hz   power line frequency; empty for that of the file, or of its spectrum
# Only for predict, which needs no participant, trial, stimulus, ratings or label, and compares its
# predictions with the ratings if there are any:
# name           name of the prediction; empty for participant_trial, or the name of the file
# In predict, an empty eeg_onset_s of a BDF file means the start of `trial` by DEAP's event codes.
participant,session,trial,stimulus,eeg,eeg_onset_s,video,video_onset_s,duration_s,valence,\
valence_range,arousal,arousal_range,eog
P01,1,1,joy_03,P01/eeg.bdf,30,P01/face_joy_03.avi,0,81.4,7,1-9,6,1-9,EXG1-EXG2;EXG3-EXG4
P01,1,2,fear_11,P01/eeg.bdf,142.5,,,66.0,2,1-9,8,1-9,EXG1-EXG2;EXG3-EXG4
P02,1,1,fear_11,,,P02/face_fear_11.mp4,2.5,66.0,35,0-100,80,0-100,
"""


def manifest_template() -> str:
    """Return an example of a manifest, with comments that explain the columns."""
    return _TEMPLATE

"""Sentences on what is found in the sessions of MAHNOB-HCI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

SENTENCES = {
    "unknown_person": (
        "Subjects that the published data set does not have: {}. They are listed as they are."
    ),
    "more_sessions": "Participants with more stimulus sessions than were published: {}.",
    "fewer_sessions": (
        "Participants with fewer than 20 published stimulus sessions, all of which are here: {}."
    ),
    "other_experiment": (
        "Sessions that are listed because of the name of their BDF file, although experimentType "
        "does not name the emotion experiment: {}."
    ),
    "other_id": "Folders whose name is not the sessionId of session.xml: {}. The folder counts.",
    "other_person": (
        "Sessions whose number is not one of their subject, N = 130 (subject - 1) + k: {}. The "
        "subject of session.xml is used."
    ),
    "odd_number": (
        "Stimulus sessions with an odd number, which neutral sessions should have: {}. "
        "They are used, because isStim is 1."
    ),
    "other_eeg_person": (
        "Sessions whose BDF file has the name of another participant: {}. The subject of "
        "session.xml is used; look at them before you trust them."
    ),
    "other_trial": (
        "Sessions whose number N and whose BDF file state different trials: {}. The trial is k / 2 "
        "of N = 130 (subject - 1) + k, which agrees with date and time."
    ),
    "no_time_order": (
        "Participants whose order of presentation cannot be verified, because date and time of "
        "session.xml are missing or equal: {}. Their trials have the order of the session numbers."
    ),
    "other_order": (
        "Participants whose sessions have another order by date and time than by number: {}. "
        "Their trials are counted in the order of date and time."
    ),
    "same_clip": "Clips that a participant saw more than once: {}.",
    "unknown_emotion": "Sessions with an unknown feltEmo: {}. They have no label.",
    "wrong_rating": ("Ratings that are missing or not on the scale 1-9: {}. They are left empty."),
    "several_videos": "Sessions with several color videos: {}. The first one is used.",
    "no_gaze": (
        "Sessions without a usable start of the clip in the gaze file: {}. The clip is taken to "
        "start with the first frame of the video, which can be wrong by some tenths of a second."
    ),
    "several_starts": (
        "Gaze files with several events MovieStart: {}. The one nearest to the start of the video "
        "is used."
    ),
    "interpolated_start": (
        "Gaze files without an AudioSampleNumber at MovieStart: {}. It is computed from the "
        "nearest row that states one."
    ),
    "late_video": (
        "Videos that do not start with the clip (video_onset_s more than 1 s from 0): {}. The "
        "onset of the gaze file is used; look at one of them with milmer inspect."
    ),
    "gaze_duration": (
        "Sessions whose gaze file and duration of the clip differ by more than 1 s: {}. The "
        "duration is not that of the gaze file."
    ),
    "frame_rate": (
        "Videos whose frame rate is not vidRate of session.xml: {}. Frames are timed by the video "
        "file, so the faces drift by the stated time until the end of the clip if vidRate is right."
    ),
    "video_length": (
        "Videos whose length is not that of vidBeginSmp to vidEndSmp: {}. What they contain is "
        "used."
    ),
    "late_clip": (
        "BDF files whose first event is not about 30 s after their start: {}. It is used, because "
        "the time to a later event is cutLenSec."
    ),
    "earlier_events": (
        "BDF files with events before the one about 30 s after their start: {}. The latter is the "
        "start of the clip."
    ),
    "other_events": (
        "BDF files with more than two events from the start of the clip on: {}. Its end is the one "
        "that agrees with cutLenSec, or the first one."
    ),
    "no_end": "BDF files without an event at the end of the clip: {}. cutLenSec is the duration.",
    "other_end": (
        "BDF files whose two events are not cutLenSec apart: {}. The shorter duration is used."
    ),
    "short_end": (
        "BDF files that do not end about 30 s after the clip: {}. What they contain is used."
    ),
}
"""Kind of finding -> sentence with the places of `Findings.add`."""


def summarize_files(
    rates_hz: Sequence[float], n_exg: int, video_onsets_s: Sequence[float]
) -> Iterator[str]:
    """Yield sentences on all files together.

    Parameters
    ----------
    rates_hz
        Sampling rate of each BDF file.
    n_exg
        Number of BDF files with channels EXG1 to EXG8.
    video_onsets_s
        Onset of the clip in each video with a gaze file.
    """
    if rates_hz:
        counts = sorted(Counter(rates_hz).items())
        listed = ", ".join(f"{rate:g} Hz ({count} files)" for rate, count in counts)
        yield f"Sampling rate in the headers of the BDF files: {listed}."
    if n_exg:
        yield (
            f"EXG1 to EXG3 ({n_exg} files) are ECG: they are used neither as EEG nor as eye "
            "channels, and blinks are searched with the frontal electrodes."
        )
    if video_onsets_s:
        low, high = min(video_onsets_s), max(video_onsets_s)
        early = sum(onset_s < 0 for onset_s in video_onsets_s)
        text = f"The clip starts {low:.2f} to {high:.2f} s after the first frame of the videos"
        later = "it starts before the first frame, so its first moments have no faces"
        yield f"{text}; in {early} of them {later}." if early else f"{text}."

"""The parts of `milmer_cli.stages.predict`, in the order of the data.

request.py    what is asked for: the files, and where in them the stimulus is
modalities.py which of EEG and video the model is shown
timing.py     when the stimulus runs in each file
clocks.py     the same by the times at which the files were begun
signals.py    a recording with any cap -> segments of the model's channels, and how good they are
stream.py     segments with EEG and faces, a stretch at a time, read ahead of the model
inference.py  the model, a segment a thread
outcome.py    what is said of a segment, and whether it is said at all
folder.py     where it is written
trust.py      how good the model was where it was tested, in words
page.py       the page
film.py       the annotated video
painter.py    what stands on its frames
blinks.py     the check of the clocks: blinks in the video against the EEG
table.py      the list of many recordings
"""

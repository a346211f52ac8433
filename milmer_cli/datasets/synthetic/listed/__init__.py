"""Copies of EAV, MAHNOB-HCI, AMIGOS and BIDS, with the irregularities of their files.

The modules, in data-flow order:

- `truth`: `ListedConfig`, what to generate; `ListedTruth`, the ground truth (truth.json).
- `trial_marks`: marks in EEG and video that state trial and time.
- `trial_signals`: the EEG of a recording with several trials, at any sampling rate.
- `trial_video`: a video with several trials.
- `mat_writer`: MATLAB files of version 5, 7 and 7.3.
- `eeg_writer`: EDF, BDF, BrainVision and EEGLAB files.
- `eav_writer`, `mahnob_writer`, `amigos_writer`, `bids_writer`: ground truth and files of each.
- `generate`: `generate_listed`, which writes all files of one of them.

To add a copy of a data set: write its ground truth and files in a module of its own, and add it to
`generate.PLANS` and `truth.DEFAULT_SIZES`.
"""

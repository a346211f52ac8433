"""DEAP (Koelstra et al., 2012): 32 participants, 40 music videos, EEG and face videos.

Modules in data-flow order:

- `files`: DEAP's files, found by name below a folder
- `ratings`: participant_ratings.csv: order of presentation, stimulus and ratings of each trial
- `bdf`: raw EEG (BDF): stimulus onsets and channels
- `array_pickle`: pickles that contain only arrays, read without executing them
- `preprocessed`: preprocessed EEG (.dat and .mat)
- `recordings`: `DeapRecordings`, DEAP as a data set
- `inventory`: what can be used and what is missing, for `prepare --check`
"""

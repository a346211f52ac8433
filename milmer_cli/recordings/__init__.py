"""Files -> arrays with units, in the order the data takes.

trial.py         what a data set is: trials, EEG, video; the `Recordings` protocol
deap.py          where trials come from: DEAP's folders; finds files by name, proves the pairing
  ratings.py       participant_ratings.csv: which clip was shown when, and how it was felt
  bdf.py           raw files: status channel, stimulus marks, channels by name
  preprocessed.py  .dat (restricted unpickler) and .mat arrays
manifest.py      where trials come from: anybody's table (manifest_table.py reads its rows)
inventory.py     what of DEAP is there, what is missing and why it matters
channels.py      names and orders of EEG channels
eeg.py           a block -> clean microvolts -> segments
  artefacts.py     broken channels, eye movements
  published.py     the cut of the published code
video.py         frames at given times, in one pass
faces.py         the face of every instance (detectors.py finds, tracking.py follows it)
"""

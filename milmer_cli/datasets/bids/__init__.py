"""EEG-BIDS data sets, with videos of the participant as in the draft BEP047.

Modules in data-flow order:

- `layout`: recordings and videos below the folders ``sub-*``
- `tables`: tables of the data set, such as participants.tsv
- `events`: the events of a recording
- `trial_rule`: which events are trials, and which columns describe them
- `trials`: the trials of a recording, with their labels, ratings and stimuli
- `signals`: EEG files and their sidecars: channels, units, power line frequency
- `videos`: which video shows a trial, and when the trial starts in it
- `listing`: `list_bids`, all of it as rows of a manifest
- `names`: names of a manifest as labels of BIDS
- `sessions`: the rows of a manifest as recordings of BIDS, and its tables
- `writer`: `write_bids`, the data of a manifest as a data set
"""

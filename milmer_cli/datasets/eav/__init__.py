"""EAV (Lee et al., 2024): 42 participants, 200 trials, five emotions, listening and speaking.

Modules in data-flow order:

- `files`: the files of a participant: array of EEG, labels and videos
- `listing`: `list_eav`, the trials as rows of a manifest
"""

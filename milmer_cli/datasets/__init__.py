"""Data sets: where the trials, EEG, videos and ratings come from.

Modules in data-flow order:

- `base`: the interface of a data set: `Recordings`, `Trial`, `EegInputs`
- `participants`: the grammar of participant lists (``1,3-5``, ``s01,s03-s05``)
- `table_text`: the text of a table in any encoding of Excel and pandas
- `table`: the reader of tables, which reports all errors of a file at once
- `read_options`: what the user states about EEG files: electrodes, channel names, unit
- `missing`: missing and unusable inputs, as `prepare --check` reports them
- `deap`: DEAP
- `manifest`: columns and rows of a manifest, the table of any other recordings
- `listing`: what a reader finds in the folder of a data set, as rows of a manifest
- `eav`, `mahnob`, `amigos`, `bids`: EAV, MAHNOB-HCI, AMIGOS and BIDS as such rows
- `event_manifest`: a manifest with one row per event of an EEG file
- `manifest_eeg`: EEG files of a manifest: headers, and the channels that are stored
- `manifest_events`: onsets and durations of the trials that start at an event of the EEG
- `manifest_durations`: durations and onsets of a manifest, compared with those of the files
- `manifest_recordings`: the recordings of a manifest as a data set
- `manifest_inventory`: what of a manifest can be used and what is missing
- `open_recordings`: open a data set by its path
- `synthetic`: a synthetic data set in DEAP's format with known effects

To add a data set: write a manifest of it, which needs no code; or write a function that lists its
recordings as rows of a manifest (`listing.DatasetListing`), and add it to `open_recordings.LISTED`,
which gives it a command of `milmer manifest` and a flag of `milmer prepare`. To add a column to the
manifest: add it to `manifest.COLUMNS`, `ManifestRow` and the template.
"""

"""Data sets: where the trials, EEG, videos and ratings come from.

Modules in data-flow order:

- `base`: the interface of a data set: `Recordings`, `Trial`, `EegInputs`
- `participants`: the grammar of participant lists (``1,3-5``, ``s01,s03-s05``)
- `table_text`: the text of a table in any encoding of Excel and pandas
- `table`: the reader of tables, which reports all errors of a file at once
- `read_options`: what the user states about EEG files: electrodes, channel names, unit
- `missing`: missing and unusable inputs, as `prepare --check` reports them
- `findings`: what the reader of a data set reports, grouped over participants and files
- `deap`: DEAP
- `manifest`: columns and rows of a manifest, the table of any other recordings
- `manifest_template`: an example of a manifest with comments
- `listing`: what a reader finds in the folder of a data set, as rows of a manifest
- `array_facts`: unit and contiguity of arrays of EEG, measured
- `eav`, `mahnob`, `amigos`, `bids`: EAV, MAHNOB-HCI, AMIGOS and BIDS as such rows
- `event_manifest`: a manifest with one row per event of an EEG file
- `manifest_eeg`: EEG files of a manifest: headers, and the channels that are stored
- `manifest_events`: onsets and durations of the trials that start at an event of the EEG
- `manifest_durations`: durations and onsets of a manifest, compared with those of the files
- `manifest_recordings`: the recordings of a manifest as a data set
- `manifest_inventory`: what of a manifest can be used and what is missing
- `open_recordings`: open a data set by its path
- `synthetic_mark`: whether files belong to a synthetic data set
- `synthetic`: synthetic data sets in the format of DEAP and the others, with known effects

To add a column to the manifest: add it to `manifest.COLUMNS`, `ManifestRow` and the
module `manifest_template`.

To add a data set, first write a manifest of it, which needs no code. If others need it too:

1. Write a package ``NAME`` whose module ``listing`` has a function ``list_NAME(root, settings)``
   that returns a `listing.DatasetListing`: one row per trial, whose keys are columns of the
   manifest and whose files are absolute paths. State onsets, durations, ratings and classes as the
   files state them, and leave empty what they do not. ``trial`` is the order of presentation.
2. Report, never assume: whatever is left out is a `missing.MissingInput` with its reason, and every
   deviation, contradiction and unverified fact is a sentence in `findings.Findings`, one per kind
   of finding and not per file. A damaged file costs its trial or its participant, never the run; an
   `InputError` is raised only if nothing can be used. Files are untrusted: limit their size, and
   let no name in them lead out of the folder.
3. Add the function to `open_recordings.LISTED`, a command to ``cli/manifest.py`` and a flag to
   ``cli/prepare.py``. Both use `preparation.input_check.check_listing`.
4. Test it on small files with a mark in EEG and video that must coincide, and with each deviation,
   one at a time (``tests/datasets/mahnob``).
5. Write ``docs/NAME.md``: where to get the data, what to sign, the folder, the commands, what is
   left out, protocols, and reference figures only with their protocol. Link it in
   ``docs/prepare.md`` and ``docs/index.md``.
"""

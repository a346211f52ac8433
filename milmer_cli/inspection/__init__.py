"""Summarize an EEG file before it is prepared, and a prepared store before training.

The modules, in data-flow order:

- `coverage`: which segments have EEG, which instances have a face, trials by class.
- `spectra`: power spectra of participants and segments.
- `examples`: segments to show with their faces and EEG.
- `result`: `InspectionResult`, the content of the page.
- `inspect_store`: computes the result.
- `eeg_file`: channels, rate, duration and events of an EEG file.

`reports.inspection` renders `InspectionResult` as a page.
"""

"""Summarize a prepared store for a check by eye before training.

The modules, in data-flow order:

- `coverage`: which segments have EEG, which instances have a face, trials by class.
- `spectra`: power spectra of participants and segments.
- `examples`: segments to show with their faces and EEG.
- `result`: `InspectionResult`, the content of the page.
- `inspect_store`: computes the result.

`reports.inspection` renders the result as a page.
"""

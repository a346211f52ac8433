"""Evaluation by cross-validation: from the folds to the results that a report shows.

Modules in data-flow order:

- `folds`: the folds of all protocols and seeds, checked
- `baselines`: the compared models: the model itself, baselines and ablations
- `external_models`: networks for EEG and pretrained encoders that are not part of Milmer
- `band_power`: log band power of the EEG, and LDA on it
- `missing_electrodes`: predictions with removed EEG electrodes, masked or interpolated
- `robustness`: predictions with missing modalities, deleted faces and removed electrodes
- `probes`: decoding of participant and stimulus from features
- `experiment`: training and testing of one model on one fold
- `result_cache`: files of finished experiments, to continue an interrupted evaluation
- `executor`: all experiments, in sequence or in parallel
- `fold_predictions`: predictions of one model over all folds of a protocol
- `noise_floor`: the first fold trained again with another order of the arithmetic
- `interpretation`: verdict and comparison of protocols in words
- `robustness_curves`: accuracy against the number of deleted faces and of missing electrodes
- `results`: result classes, which reports render and metrics.json contains
- `summary`: from predictions to the results under one protocol

To add a baseline: add a `ModelSpec` in `baselines.model_specs`. If it is not a network, add its
method to `baselines.Method` and fit it in `executor`.

To add a probe target: add the column of the table of segments to `probes.TARGETS`.
"""

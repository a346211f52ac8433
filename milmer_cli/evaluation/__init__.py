"""Evaluation by cross-validation: from the folds to the results that a report shows.

Modules in data-flow order:

- `folds`: the folds of all protocols and seeds, checked
- `baselines`: the compared models: the model itself, baselines and ablations
- `baseline_list`: the list of `milmer evaluate --list-baselines`
- `band_power`: log power, differential entropy and frontal asymmetry of the EEG
- `features`: features of segments that baselines classify
- `classifiers`: classifiers of features
- `late_fusion`: probabilities of two networks combined
- `missing_electrodes`: predictions with removed EEG electrodes, masked or interpolated
- `robustness`: predictions with missing modalities, deleted faces and removed electrodes
- `probes`: decoding of participant and stimulus from features
- `adaptation`: a correction of the classifier from a few trials of a new participant
- `experiment`: one model on one fold, and its result
- `fit_baseline`: one baseline that trains no network, on one fold
- `usable_sets`: the segments of a fold that a model can use
- `run_experiment`: training and testing of one model on one fold
- `result_cache`: files of finished experiments, to continue an interrupted evaluation
- `executor`: all experiments, in sequence or in parallel
- `costs`: parameters, size and durations of the compared models
- `dry_run`: the trainings of an evaluation, and their estimated time and disk space
- `fold_predictions`: predictions of one model over all folds of a protocol
- `noise_floor`: the first fold trained again with another order of the arithmetic
- `interpretation`: verdict and comparison of protocols in words
- `robustness_curves`: accuracy against the number of deleted faces and of missing electrodes
- `adaptation_curve`: accuracy against the number of labeled trials of a new participant
- `results`: result classes, which reports render and metrics.json contains
- `robustness_scores`: these predictions as scores and curves
- `summary`: from predictions to the results under one protocol

To add a baseline: add a `Baseline` to `baselines.CATALOG`. Features and classifiers are functions
in `features.EEG_FEATURES` and `classifiers.CLASSIFIERS`; a network is a change of settings.

To add a probe target: add the column of the table of segments to `probes.TARGETS`.
"""

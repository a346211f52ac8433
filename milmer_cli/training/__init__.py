"""Training of any of our networks with transformers' Trainer, and the run folder.

In the order of the data flow:

- `training_args`: `TrainingSpec`, everything that defines a training except model and data
- `sampler`: batches that do not depend on the number of processes
- `optimization`: parameter groups of AdamW, and class weights
- `micro_batches`: gradient accumulation, with smaller micro-batches when memory runs out
- `trainer`: `MilmerTrainer`, Trainer with our loss, validation and checkpoints
- `callbacks`: progress, and when to evaluate, save and stop
- `ema`: moving average of the weights
- `graceful_stop`: stop requests by SIGTERM and Ctrl-C
- `integrations`: TensorBoard and other experiment trackers
- `checkpoints`: checkpoints on disk, complete or absent
- `history`: metrics of every epoch, and the selection of the best epoch
- `train_model`: `train_model`, the one function that trains a network
- `distributed`: ``--processes N``, and which process this is
- `eeg_amplitude`: standardize the amplitude features of the EEG on the training set
- `eeg_alignment`: save the map of the EEG channels with the model
- `fit_fold`: builds and trains a Milmer model on one fold
- `fit_network`: trains an EEG network that is not part of Milmer on one fold
- `calibration`: temperature scaling on the validation set
- `evaluate_fold`: calibration, and scores on the test set
- `sources`: the parts of files in the training, validation and test set
- `run_marker`: the marker of an unfinished run
- `run_environment`: versions of the packages, for environment.json
- `run_dir`: contents of a run folder; `Run` opens it for evaluate
- `begin_run`: start a run in its folder, resume it, or start it again
- `result`: `TrainResult` and the contents of metrics.json
- `dry_run`: ``train --dry-run``

To add a callback: write a `transformers.TrainerCallback` that gets what it needs as parameters, and
add it in `MilmerTrainer.__init__`.

To add a metric that selects the epoch: add it to `history.Epoch` and `history.validation_metrics`,
and its name to `training_args.Metric`.
"""

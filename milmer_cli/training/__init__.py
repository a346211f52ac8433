"""From a model and data sets to a trained model.

In the order of use:

- `folds`        one part of a split: datasets, frozen face tokens, the model, the training
- `trainer`      `fit`: trains any of our models and leaves it with its best epoch's weights
- `engine`       transformers' Trainer with our loss, order of samples, judging and checkpoints
- `sampler`, `optimizer`, `checkpoints`, `stopping`, `trackers`, `history`    its parts
- `predictions`  `predict_probabilities`: a data set through a trained model
- `runfolder`    `Run`: what a run folder holds, for evaluate and predict
- `images`       pictures of facial expressions, for finetune-swin
"""

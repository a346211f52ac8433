"""From a model and data sets to a trained model.

- `material`, `folds`, `tokens`   a store's segments and classes; one training on one part of a
  split; face tokens of a frozen backbone
- `trainer`    `fit`: trains any of our models and leaves it with its best epoch's weights
- `engine`, `task`, `conductor`   transformers' Trainer with our loss, judging and checkpoints
- `sampler`, `optimizer`, `checkpoints`, `stopping`, `trackers`, `history`    its parts
- `predictions`, `confidence`     a data set through a trained model; how sure it is
- `runfolder`  `Run`: what a run folder holds, for evaluate and predict
- `estimate`   what a training would take; `launch`, `processes`: several processes
- `expressions`, `layouts`, `images`, `faces`, `classifier`, `modelcard`   for finetune-swin
"""

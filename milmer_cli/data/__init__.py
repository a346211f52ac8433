"""Between the store and the model: ratings to classes, segments to parts, bags to batches.

In data order:

- `labels`      ratings -> classes, with the tie rule written down
- `grouping`    groups that stay whole, and how they are dealt evenly to folds
- `splits`      what training and test parts may not share; folds, hold-outs, their checker
- `split_file`  splits on disk, refused by another store
- `dataset`     `Bags`, the torch Dataset whose batches are `MilmerModel.forward`'s arguments
"""

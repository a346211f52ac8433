"""The work of each command, as one function that sequences calls; also used from Python.

In data-flow order:

- `prepare`: from recordings to a prepared store
- `inspect`: from a prepared store to a page about its content and quality
- `finetune_swin`: from images of facial expressions to a face backbone
- `train`: from a prepared store to a run folder
- `evaluate`: from a prepared store to scores under each protocol and a page
- `evaluate_run`: from a trained run to scores on its own test set and a page
- `audit`: from a table of predictions to leaks, scores and a page
- `predict`: from a video and an EEG recording to a prediction and a page
- `predict_batch`: from a manifest of recordings to predictions
- `export`: from a run to a bundle for others, in a folder, a zip file or on the Hub
- `demo`: all commands on a synthetic data set
"""

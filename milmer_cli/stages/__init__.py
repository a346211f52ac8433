"""The use cases, in the order the data flows: what the command line calls, and notebooks too.

- `prepare.py`        recordings -> prepared store
- `finetune_swin.py`  images of facial expressions -> Swin folder
- `train.py`          prepared store -> run folder
- `evaluate.py`       prepared store -> scores under a protocol, and a page
- `predict.py`        a video and an EEG recording -> emotion over time, and a page

`segments.py` holds the one way from a trial's files to its segments.
"""

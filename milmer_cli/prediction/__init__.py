"""Prediction for recordings: from a video and an EEG file to a result, without pages.

Modules, in the order of the data flow:

- `request`: the files, onsets and outputs that the user asks for
- `event_requests`: a request for each occurrence of an event
- `manifest`: requests from the rows of a manifest
- `messages`: warnings and notes, forwarded to the progress sink and kept for the result
- `modalities`: which of EEG and video the model receives
- `recording`: opens an EEG file and matches its channels with those of the model
- `onsets`: start of the stimulus in each file: given, marked by an event, or by start times
- `start_times`: onsets from the start times that both files store
- `timing`: which part of each file is predicted
- `training_differences`: how a recording differs from the training data
- `training_overlap`: whether the recording is part of the data of the model
- `eeg_segments`: EEG segments with the share of usable channels, in pieces of bounded size
- `eeg_scaling`: scale or align the EEG as the model was trained
- `chunks`: segments with EEG and faces, read in a background thread
- `segment_inference`: the model on chunks, parallel over segments on a CPU
- `abstention`: quality flags of a segment, and whether it is too poor for a prediction
- `blinks`: traces of eye blinks in the video and in the EEG
- `sync_check`: cross-correlation of the two traces, to verify the onsets
- `result`: `PredictResult`, which is written to files and shown by the page
- `reliability`: performance of the model on its test set
- `output`: the folder of a prediction and timeline.csv
- `predictor`: `Predictor`, which runs all of the above for one request
- `rating_comparison`: comparison of the predictions of a manifest with its ratings
- `batch`: identity and summary row of each recording of a manifest

Pages and annotated videos are made from the result by `reports`; `stages.predict` calls both.

To add a quality flag: set it in `abstention`, and describe it in `result.SegmentPrediction` and
docs/predict.md.
"""

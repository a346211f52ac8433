"""Run a trained model over data and score its predictions.

In data-flow order:

- `backbone_engine`: whether OpenVINO runs the backbone of a model
- `predict_proba`: the one loop of batches -> device -> outputs; class probabilities and logits
- `token_cache`: compute the tokens of a frozen encoder once, in a file for each participant
- `face_token_cache`: compute the face tokens of a frozen backbone once
- `eeg_feature_cache`: compute the features of a frozen EEG encoder once
- `scoring`: scores of predicted segments, for train and evaluate
"""

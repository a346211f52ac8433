"""Figures. Each function draws one figure and returns it; no function uses pyplot.

- `style`: colors, fonts, axes, and output as image file or inline SVG
- `evaluation`: learning curve, confusion matrix, participants, protocols
- `calibration`: reliability diagram, deletion curve, coverage curve
- `inspection`: coverage, spectra and EEG traces of a prepared store
- `signal_quality`: bad channels of a prepared store over time
- `prediction`: timeline of probabilities, valence-arousal plane, attention on the scalp
- `sync`: blinks in the video and in the EEG
"""

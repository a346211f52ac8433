"""Numbers and pictures become one self-contained page each; nothing here knows of stages.

- `theme`               colours, and figures as files or as SVG that follow the page
- `figures`             evaluation and training: confusion, participants, ladder, learning curve
- `prediction_figures`  timeline of probabilities, valence-arousal plane
- `html`                `evaluation_page(EvaluationReport)`, `prediction_page(PredictionReport)`
"""

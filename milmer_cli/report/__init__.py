"""Numbers and pictures become one self-contained page each; nothing here knows of stages.

- `theme`               colours, and figures as files or as SVG that follow the page
- `figures`             evaluation and training: confusion, participants, ladder, learning curve
- `trust_figures`       deletion curve of the selection, reliability of the confidence
- `prediction_figures`  timeline of probabilities, valence-arousal plane
- `wording`, `strips`   what the pages say: verdicts, rows, faces of segments
- `html`                `evaluation_page(EvaluationReport)`, `prediction_page(PredictionReport)`
"""

"""Rendering of results as figures, HTML pages, videos and files. Results never import reports.

Modules in data-flow order:

- `plots`: figures, one module per kind of result
- `text`: names of metrics and protocols, formatting of numbers
- `templates`: Jinja templates and the style sheet of the pages
- `html`: template environment, inline images and settings, for all pages
- `face_strips`: selected faces and table rows of segments
- `evaluation_tables`: tables of the evaluation page
- `evaluation`: page of an evaluation
- `evaluation_output`: all files of an evaluation
- `audit`: page of an audit
- `finetune_output`: all files of a fine-tuned face classifier
- `inspection`: page of a prepared store
- `prediction`: page of a prediction
- `prediction_batch`: page of all predictions of a manifest or of an event
- `video_overlay`: drawing of predictions on video frames
- `annotated_video`: a video with predictions

To add a table to the evaluation page: yield a `Table` in `evaluation_tables.evaluation_tables`.

To add a section: compute its values in the page's module and show them in ``templates/``.
"""

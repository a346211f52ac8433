"""Readers of expression data sets, one module per layout.

- `layouts`: `read_images`, which recognizes the layout of a path and calls its reader.
- `csv_file`: header and rows of a CSV file.
- `class_folders`: one folder per class.
- `fer2013`: FER2013 and FER+ (CSV files with pixels).
- `rafdb`: RAF-DB.
- `affectnet`: AffectNet.
- `ckplus`: CK+.

To add a data set: write a module with ``matches(path)``, which tells whether a path has the layout,
and ``read(path)``, which returns `LabeledImages`; convert class numbers to names with a table, add
the module to `layouts.LAYOUTS`, and describe the layout in docs/expression-images.md.
"""

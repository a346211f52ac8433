"""A trained model as a bundle: a folder or a zip file from which anybody can predict.

Modules, in the order of the data flow:

- `model_names`: what a user can name as a model, without torch; the bundle of a run
- `document`: bundle.json: preprocessing, classes, fingerprints and digests
- `sources`: sources.json: which parts of files the model was trained and tested on
- `files`: read the files of a folder or a zip file; write zip files
- `contents`: `Bundle`: an opened bundle, which prediction uses
- `card`: the model card (README.md)
- `write`: write a bundle, or a verified copy of one
- `resolve`: `open_bundle`: a run, a folder, a zip file, ``hf:USER/NAME`` or ``demo`` -> `Bundle`
- `hub`: upload a bundle to the Hugging Face Hub
- `onnx_graphs`: the two halves of a model, in operators that ONNX has
- `onnx_export`: `export_onnx`, which writes and verifies the ONNX files

The folder ``model`` of a run is a bundle. To add a file: name it in ``FILES`` of `document` (and in
``DIGESTED`` if a prediction reads it), and write it in `write`.
"""

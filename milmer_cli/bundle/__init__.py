"""A trained model as files that do not need the run folder.

In data-flow order:

- `onnx_graphs`: the two halves of a model, in operators that ONNX has
- `onnx_export`: `export_onnx`, which writes and verifies the ONNX files
"""

"""Class probabilities of one segment from ONNX files, with numpy and onnxruntime only.

python predict_onnx.py MODEL_FOLDER --faces faces.npy --eeg eeg.npy

faces.npy: uint8 RGB face images, (images, size, size, 3), at most as many as the model reads.
eeg.npy: preprocessed EEG in microvolts, (channels, samples); a channel with NaN is missing.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime


def run(path: Path, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Return the first output for those of the inputs that the file has."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    own = {value.name: inputs[value.name] for value in session.get_inputs()}
    return session.run(None, own)[0]


def main() -> None:
    """Print the probability of each class as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--faces", type=Path)
    parser.add_argument("--eeg", type=Path)
    args = parser.parse_args()
    model = json.loads((args.folder / "onnx.json").read_text(encoding="utf-8"))
    count, size = model["num_instances"], model["face_size"]
    tokens = np.zeros((count, model["tokens_per_face"], model["hidden_size"]), np.float32)
    eeg = np.full((model["n_channels"], model["n_samples"]), np.nan, np.float32)
    n_faces = 0
    if args.faces and model["modalities"] != "eeg":
        images = np.load(args.faces, allow_pickle=False)
        n_faces = len(images)
        if images.dtype != np.uint8 or images.shape[1:] != (size, size, 3) or n_faces > count:
            raise SystemExit(f"faces: expected uint8, at most ({count}, {size}, {size}, 3)")
        tokens[:n_faces] = run(args.folder / "face_encoder.onnx", {"faces": images})
    if args.eeg and model["modalities"] != "face":
        given = np.load(args.eeg, allow_pickle=False)
        if given.shape != eeg.shape:
            raise SystemExit(f"eeg: expected the shape {eeg.shape}, got {given.shape}")
        eeg = given.astype(np.float32)
    channels = np.isfinite(eeg).all(axis=1)
    if not (n_faces or channels.any()):
        raise SystemExit(f"expected data for the modalities of the model: {model['modalities']}")
    inputs = {"eeg": np.where(channels[:, None], eeg, 0)[None], "channels_found": channels[None]}
    inputs |= {"eeg_found": channels.any(keepdims=True), "face_tokens": tokens[None]}
    inputs["faces_found"] = np.arange(count)[None] < n_faces
    (probabilities,) = run(args.folder / "classifier.onnx", inputs).tolist()
    print(json.dumps(dict(zip(model["class_names"], probabilities, strict=True))))


if __name__ == "__main__":
    main()

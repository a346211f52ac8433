"""Write a model as ONNX files, and verify them with ONNX Runtime.

The files are written by PyTorch's exporter that traces (``dynamo=False``). It needs no package but
onnx and far less time than the exporter based on ``torch.export``, which also needs onnxscript in a
version that fits that of torch. It is deprecated, but has none of its limits for these graphs: what
it cannot express is replaced in `onnx_graphs`, and every file is compared with the model.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from milmer_cli import __version__
from milmer_cli.bundle.onnx_graphs import ClassifierGraph, FaceEncoderGraph
from milmer_cli.digests import file_digest
from milmer_cli.errors import InputError, MilmerError, SettingsError, shorten
from milmer_cli.formats import read_document, write_document
from milmer_cli.io import atomic_files
from milmer_cli.models import MilmerModel

FACE_ENCODER, CLASSIFIER, DESCRIPTION = "face_encoder.onnx", "classifier.onnx", "onnx.json"
TOLERANCE = 1e-4
"""Largest difference between ONNX Runtime and PyTorch."""
OPSET = 18
MAX_BYTES = 2**31 - 1
"""An ONNX file is one protocol buffer message, which cannot be larger."""
_BATCH = 2


def export_onnx(
    model: MilmerModel,
    face_size: int,
    folder: Path,
    description: Mapping[str, Any] | None = None,
    recording_amplitude: bool = False,
) -> list[Path]:
    """Write ``face_encoder.onnx``, ``classifier.onnx`` and ``onnx.json``.

    The number of instances is that of the model; the batch size is free. The files are compared
    with the model on random inputs before they appear in the folder.

    Parameters
    ----------
    model
        Not changed.
    face_size
        Side of the square face images, in pixels.
    folder
        Created if it does not exist. Files of the same names are replaced.
    description
        Further values of ``onnx.json`` for programs without Milmer, such as the channels and their
        preprocessing; stored under ``bundle``.
    recording_amplitude
        Whether the model expects the amplitude of each recording to be scaled
        (``model.eeg_amplitude_scale=recording``).

    Returns
    -------
    list of Path
        The files; without ``face_encoder.onnx`` for a model without a backbone.

    Raises
    ------
    InputError
        The extra ``onnx`` is not installed, the model is too large, or the folder contains a file
        of these names that no export wrote.
    SettingsError
        The model depends on the EEG of a whole recording.
    MilmerError
        The files do not give the probabilities of the model.
    """
    require_onnx()
    _require_target(folder)
    _require_single_segments(model, recording_amplitude)
    # tracing stores tensors in some backbones
    model = copy.deepcopy(model).cpu().float().eval().requires_grad_(False)
    _require_size(model)
    with atomic_files(folder) as staged, _traced():
        if model.backbone is not None:
            _write_face_encoder(copy.deepcopy(model), face_size, staged / FACE_ENCODER)
        _write_classifier(copy.deepcopy(model), staged / CLASSIFIER)
        names = sorted(path.name for path in staged.iterdir())
        values = _description(model, face_size, {n: file_digest(staged / n) for n in names})
        write_document(staged / DESCRIPTION, "onnx", {**values, "bundle": dict(description or {})})
    if FACE_ENCODER not in names:
        (folder / FACE_ENCODER).unlink(missing_ok=True)  # of an earlier export
    return [folder / name for name in [*names, DESCRIPTION]]


def _require_target(folder: Path) -> None:
    """Check that the files replace nothing but those of an earlier export."""
    existing = [name for name in (FACE_ENCODER, CLASSIFIER) if (folder / name).exists()]
    if not existing and not (folder / DESCRIPTION).exists():
        return
    try:
        read_document(folder / DESCRIPTION, "onnx", ("sha256",))
    except InputError as error:
        raise InputError(
            f"{folder} contains {shorten(existing or [DESCRIPTION])}, which `milmer export` did "
            "not write.",
            "Choose another folder with --out.",
        ) from error


def require_onnx() -> None:
    """Require the packages onnx and onnxruntime.

    Raises
    ------
    InputError
        One of them is not installed.
    """
    packages = ("onnx", "onnxruntime")
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise InputError(
            f"ONNX files need the package {' and '.join(missing)}, expected to be installed.",
            "Install it with pip install 'milmer-cli[onnx]'.",
        )


def _require_single_segments(model: MilmerModel, recording_amplitude: bool) -> None:
    config = model.config
    transductive = config.eeg_alignment != "none" and config.eeg_alignment_scope == "transductive"
    if config.modalities != "face" and (transductive or recording_amplitude):
        setting = "eeg_alignment_scope" if transductive else "eeg_amplitude_scale"
        value = "transductive" if transductive else "recording"
        raise SettingsError(
            f"This model cannot be written as ONNX: its EEG is scaled with the whole recording "
            f"(model.{setting}={value}), and an ONNX file reads single segments.",
            f"Train with another value of model.{setting}, or export a bundle.",
        )


def _require_size(model: MilmerModel) -> None:
    backbone = [] if model.backbone is None else [model.backbone]
    n_backbone = sum(_n_bytes(module) for module in backbone)
    largest = max(n_backbone, _n_bytes(model) - n_backbone)
    if largest > MAX_BYTES:
        raise InputError(
            f"This model cannot be written as ONNX: its weights have {largest:,} bytes, and an "
            f"ONNX file at most {MAX_BYTES:,}.",
            "Train with model.scorer=pooled or a smaller backbone, or export a bundle.",
        )


def _n_bytes(module: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())


def _write_face_encoder(model: MilmerModel, face_size: int, path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    shape = (_BATCH, face_size, face_size, 3)
    faces = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    expected = model.encode_faces(faces[None], torch.ones(1, _BATCH, dtype=torch.bool))[0]
    _write_graph(FaceEncoderGraph(model, face_size), ["faces"], [faces], ["tokens"], path)
    _compare(path, {"faces": faces}, {"tokens": expected})


def _write_classifier(model: MilmerModel, path: Path) -> None:
    graph = ClassifierGraph(model)
    inputs = [_random_inputs(model)[name] for name in graph.input_names]
    expected = dict(zip(graph.output_names, graph(*inputs), strict=True))
    graph.replace_operators()
    _write_graph(graph, graph.input_names, inputs, graph.output_names, path)
    _compare(path, dict(zip(graph.input_names, inputs, strict=True)), expected)


def _random_inputs(model: MilmerModel) -> dict[str, Tensor]:
    """Make a complete segment, and one in which an image and a channel are missing."""
    config, generator = model.config, torch.Generator().manual_seed(0)
    tokens = (config.num_instances, config.tokens_per_face, config.hidden_size)
    channels_found = torch.ones(_BATCH, config.n_channels, dtype=torch.bool)
    faces_found = torch.ones(_BATCH, config.num_instances, dtype=torch.bool)
    channels_found[1, 0] = faces_found[1, 0] = False
    return {
        "eeg": 20 * torch.randn(_BATCH, config.n_channels, config.n_samples, generator=generator),
        "eeg_found": torch.ones(_BATCH, dtype=torch.bool),
        "channels_found": channels_found,
        "face_tokens": torch.randn(_BATCH, *tokens, generator=generator),
        "faces_found": faces_found,
    }


@contextlib.contextmanager
def _traced() -> Iterator[None]:
    """Exclude the fused encoder layer, which ONNX lacks, and the warnings of tracing."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            # of constant shapes, which are intended, and of the deprecation of this exporter
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def _write_graph(
    graph: nn.Module,
    input_names: Sequence[str],
    inputs: Sequence[Tensor],
    output_names: Sequence[str],
    path: Path,
) -> None:
    torch.onnx.export(
        graph.eval(),
        tuple(inputs),
        str(path),
        input_names=list(input_names),
        output_names=list(output_names),
        dynamic_axes={name: {0: "batch"} for name in (*input_names, *output_names)},
        opset_version=OPSET,
        dynamo=False,
    )


def _compare(path: Path, inputs: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
    outputs = session.run(list(expected), arrays)
    differing = [
        name
        for (name, tensor), output in zip(expected.items(), outputs, strict=True)
        if not np.allclose(output, tensor.numpy(), rtol=TOLERANCE, atol=TOLERANCE)
    ]
    if differing:
        raise MilmerError(
            f"{path.name} does not give the results of the model ({shorten(differing)}), expected "
            f"a difference of at most {TOLERANCE:g}.",
            "Install the versions of torch and onnxruntime in constraints.txt, or export a bundle.",
        )


def _description(model: MilmerModel, face_size: int, digests: Mapping[str, str]) -> dict[str, Any]:
    """Return what a program needs to know of the files; ``bundle`` is added to it."""
    config = model.config
    return {
        "milmer": __version__,
        "sha256": dict(digests),
        "modalities": config.modalities,
        "class_names": list(config.class_names),
        "n_channels": config.n_channels,
        "n_samples": config.n_samples,
        "sfreq_hz": config.sfreq_hz,
        "band_hz": list(config.band_hz),
        "num_instances": config.num_instances,
        "face_size": face_size,
        "tokens_per_face": config.tokens_per_face,
        "hidden_size": config.hidden_size,
        "temperatures": dict(config.temperatures),
    }

"""The two halves of a `MilmerModel`, in operators that ONNX has.

Three operators of the model have no equivalent in ONNX and are replaced by exact ones:

- Resizing (bicubic, antialiased) is linear and separable: a matrix for rows and one for columns.
- The Fourier transform of the amplitude features is linear: one matrix, in float64.
- The inductive alignment of the EEG, which `milmer predict` applies before the model, is part of
  the classifier.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from milmer_cli.models import MilmerModel
from milmer_cli.models.eeg_amplitude import LIMIT, MIN_SD_UV, AmplitudeToken
from milmer_cli.models.image_features import image_tokens


def resize_matrix(n_in: int, n_out: int) -> Tensor:
    """Return the matrix, (n_out, n_in), that resizes one axis: bicubic and antialiased."""
    # channel c has 1 in row c; two columns, because torch confuses the axes of a single one
    impulses = torch.eye(n_in, dtype=torch.float64)[None, :, :, None].repeat(1, 1, 1, 2)
    resized = nn.functional.interpolate(impulses, (n_out, 2), mode="bicubic", antialias=True)
    return resized[0, :, :, 0].T.float().contiguous()


class FaceEncoderGraph(nn.Module):
    """Face images to face tokens: preprocessing and backbone.

    Parameters
    ----------
    model
        With a backbone, in evaluation mode.
    face_size
        Side of the face images, in pixels.
    """

    rows: Tensor
    columns: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, model: MilmerModel, face_size: int) -> None:
        super().__init__()
        self.backbone = model.backbone
        height, width = model.config.image_size
        self.resizes = (height, width) != (face_size, face_size)
        self.register_buffer("rows", resize_matrix(face_size, height))
        self.register_buffer("columns", resize_matrix(face_size, width).T.contiguous())
        self.register_buffer("mean", model.image_mean.float()[:, None, None])
        self.register_buffer("std", model.image_std.float()[:, None, None])

    def forward(self, faces: Tensor) -> Tensor:
        """Map (n, H, W, 3) uint8 RGB to (n, N, d) float32."""
        pixels = faces.permute(0, 3, 1, 2).float()
        if self.resizes:
            pixels = (self.rows @ pixels @ self.columns).clamp(0, 255)
        return image_tokens(self.backbone, (pixels - self.mean) / self.std)


class ClassifierGraph(nn.Module):
    """EEG and face tokens to probabilities: selection, fusion, encoder and temperature.

    Parameters
    ----------
    model
        In evaluation mode; `replace_operators` changes it.

    Attributes
    ----------
    input_names, output_names : list of str
        In the order of the arguments and of the results; those of the modalities of the model.
    """

    def __init__(self, model: MilmerModel) -> None:
        super().__init__()
        self.model = model
        self.input_names, self.output_names = classifier_names(model)

    def replace_operators(self) -> None:
        """Replace the operators that ONNX lacks; before, the results are those of the model."""
        amplitude = getattr(self.model, "amplitude", None)
        if amplitude is not None and amplitude.bins:
            n_samples = self.model.config.n_samples
            self.model.add_module("amplitude", MatrixAmplitude(amplitude, n_samples))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Map `input_names` to `output_names`.

        The inputs are ``eeg`` (B, C, T) microvolts, ``eeg_found`` (B,) bool, ``channels_found``
        (B, C) bool, ``face_tokens`` (B, I, N, d) and ``faces_found`` (B, I) bool. The outputs are
        ``probabilities`` (B, n_classes), ``instance_weights`` (B, I) and ``selected_indices``
        (B, k) int64, of which the last two need faces and a selection.
        """
        values = dict(zip(self.input_names, inputs, strict=True))
        reference = getattr(self.model, "eeg_reference", None)
        if reference is not None:
            eeg = torch.where(values["eeg_found"][:, None, None], values["eeg"], 0.0)
            values["eeg"] = reference.matrix @ (eeg - reference.offset[:, None])
        output = self.model(**values)
        results = {
            "probabilities": output.logits.softmax(-1),
            "instance_weights": output.instance_weights,
            "selected_indices": output.selected_indices,
        }
        return tuple(results[name] for name in self.output_names)


def classifier_names(model: MilmerModel) -> tuple[list[str], list[str]]:
    """Return the names of the inputs and of the outputs of `ClassifierGraph`."""
    config = model.config
    inputs, outputs = [], ["probabilities"]
    if config.modalities != "face":
        inputs += ["eeg", "eeg_found", "channels_found"]
    if config.modalities != "eeg":
        inputs += ["face_tokens", "faces_found"]
        outputs += ["instance_weights"]
        if config.selection not in ("amil", "mean"):
            outputs += ["selected_indices"]
    return inputs, outputs


class MatrixAmplitude(nn.Module):
    """`AmplitudeToken` of band powers, with the Fourier transform as a matrix.

    Parameters
    ----------
    amplitude
        The features to compute.
    n_samples
        EEG samples of a segment.
    """

    transform: Tensor
    averages: Tensor

    def __init__(self, amplitude: AmplitudeToken, n_samples: int) -> None:
        super().__init__()
        self.amplitude = amplitude
        window = torch.hann_window(n_samples)
        n_bins = n_samples // 2 + 1
        spectrum = torch.fft.rfft(torch.diag(window).double(), dim=1)  # (T, bins)
        self.register_buffer("transform", torch.cat([spectrum.real, spectrum.imag], dim=1))
        averages = torch.zeros(n_bins, len(amplitude.bins), dtype=torch.float64)
        for band, (start, end) in enumerate(amplitude.bins):
            averages[start:end, band] = 1 / (end - start) / window.square().sum()
        self.register_buffer("averages", torch.cat([averages, averages]))

    def forward(self, eeg: Tensor) -> Tensor:
        """Map (B, C, T) microvolts to (B, C, d); see `AmplitudeToken.forward`."""
        token = self.amplitude
        centered = (eeg - eeg.mean(-1, keepdim=True)).double()
        power = (centered @ self.transform).square() @ self.averages
        features = power.clamp(min=MIN_SD_UV**2).log().float()
        features = ((features - token.mean) / token.sd).clamp(-LIMIT, LIMIT)
        return torch.einsum("bcf,cfd->bcd", features, token.weight)

"""Pretrained EEG encoders of braindecode as frozen feature extractors.

``braindecode:CLASS@WEIGHTS`` names a class whose forward pass has ``return_features``, and its
weights: a folder that ``save_pretrained`` wrote, or a name in the cache of the Hugging Face Hub.
The configuration is read as numbers and text only, and the weights as tensors only: braindecode's
own ``from_pretrained`` imports what the configuration names.

An encoder gets the sampling rate of its configuration, the electrodes for which it was trained
(interpolated by braindecode if it knows them) and the unit of its pretraining. The features of a
segment are the mean of its tokens.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from scipy.signal import resample_poly
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from milmer_cli.digests import digest
from milmer_cli.errors import SettingsError, WeightsError, first_line, shorten
from milmer_cli.json_files import read_json
from milmer_cli.models.eeg_network import (
    EegShape,
    argument_values,
    construct,
    network_class,
    network_fingerprint,
)
from milmer_cli.models.library_messages import offline
from milmer_cli.models.pretrained_files import read_weights
from milmer_cli.weights.local_backbones import CONFIG, local_folder

Scale = Literal["100 uV", "mV", "percentile", "standardize"]

RATES_HZ = {"BENDR": 256.0, "EEGPT": 256.0, "SignalJEPA": 128.0, "STEEGFormer": 128.0}
DEFAULT_RATE_HZ = 200.0
"""Sampling rates of the pretraining, for configurations without one."""

SCALES: dict[str, Scale] = {
    "Labram": "100 uV",
    "CBraMod": "100 uV",
    "CodeBrain": "100 uV",
    "EEGPT": "mV",
    "BIOT": "percentile",
}
"""Unit of the input in the pretraining: 100 microvolts (Jiang et al., 2024; Wang et al., 2025), mV
(Wang et al., 2024), or the 95th percentile of the absolute value of each channel (Yang et al.,
2023). All other encoders get segments with mean 0 and standard deviation 1."""

TIME_TABLES = ("temporal_embedding",)
"""Weights with one entry for each second of a segment, of which shorter segments use the first."""
MAX_CONFIG_NUMBER = 100_000
"""Largest number in a configuration: a larger one would be a network without end."""
_INTERPOLATION = "interpolation_layer."
_HINT = (
    "Give a folder that the save_pretrained method of braindecode wrote, or a model of braindecode "
    "on the Hugging Face Hub."
)


class EegEncoder(nn.Module):
    """A frozen encoder.

    Parameters
    ----------
    network
        Its forward pass has ``return_features``.
    shape
        The EEG of a segment.
    sfreq_hz
        Sampling rate of the input of the network.
    scale
        Unit of the input of the network.

    Attributes
    ----------
    fingerprint : str
        Digest of everything that determines the features.
    used : tuple of str
        Names of the parameters that determine the features; the others belong to a classifier.
    n_features : int
        Number of features of a segment.
    """

    def __init__(self, network: nn.Module, shape: EegShape, sfreq_hz: float, scale: Scale) -> None:
        super().__init__()
        self.network = network.eval()
        self.scale = scale
        self.ratio = Fraction(sfreq_hz / shape.sfreq_hz).limit_denominator(1000)
        self.used, self.n_features = _used_parameters(network, self.prepare(_noise(shape)))
        self.fingerprint = ""

    @property
    def parameters_used(self) -> list[nn.Parameter]:
        """The parameters that determine the features."""
        return [p for name, p in self.network.named_parameters() if name in self.used]

    def prepare(self, eeg: Tensor) -> Tensor:
        """Convert (B, C, T) microvolts to the rate and unit of the pretraining."""
        values = eeg.cpu().numpy().astype(np.float32)
        if self.ratio != 1:
            up, down = self.ratio.numerator, self.ratio.denominator
            values = resample_poly(values, up, down, axis=-1, padtype="line").astype(np.float32)
        return torch.from_numpy(_rescale(values, self.scale)).to(eeg.device)

    def forward(self, eeg: Tensor) -> Tensor:
        """Map (B, C, T) microvolts to features, (B, d)."""
        return _features(self.network, self.prepare(eeg))


def load_eeg_encoder(name: str, shape: EegShape) -> EegEncoder:
    """Load a pretrained encoder for the EEG of a store, in evaluation mode.

    Parameters
    ----------
    name
        ``braindecode:CLASS@WEIGHTS``.
    shape
        The EEG of a segment.

    Raises
    ------
    SettingsError
        There is no such class, it is no encoder, or it does not accept the EEG.
    WeightsError
        The weights cannot be found, or do not fit the class.
    """
    source, _, weights = name.partition("@")
    encoder_class = _encoder_class(source)
    folder = local_folder(weights)
    config, state = _read_config(folder, encoder_class), read_weights(folder)
    with warnings.catch_warnings(), offline(), torch.random.fork_rng([]):
        warnings.simplefilter("ignore")
        encoder, lacking = _build(name, encoder_class, config, state, shape)
    if lacking:
        raise WeightsError(
            f"The weights {weights} lack {len(lacking)} of the weights of {source}, or have them "
            f"in another shape ({shorten(lacking, 3)}).",
            f"{_HINT} It must be made for segments and electrodes like those of the store.",
        )
    code = (source, network_fingerprint(source), encoder.ratio, encoder.scale, *shape.channels)
    tensors = sorted(item for item in encoder.network.state_dict().items() if not is_lazy(item[1]))
    encoder.fingerprint = digest(*map(str, code), *(value for item in tensors for value in item))
    return encoder.requires_grad_(False)


def _encoder_class(source: str) -> Any:
    encoder_class: Any = network_class(source)
    if "return_features" not in inspect.signature(encoder_class.forward).parameters:
        raise SettingsError(
            f"evaluate.baselines: {source} is no encoder: its forward pass has no return_features.",
            "Leave out the weights to train it, or choose an encoder such as braindecode:Labram.",
        )
    return encoder_class


def _build(
    name: str,
    encoder_class: Any,
    config: Mapping[str, Any],
    state: Mapping[str, Tensor],
    shape: EegShape,
) -> tuple[EegEncoder, list[str]]:
    """Build an encoder, and return it with the names of the used weights that ``state`` lacks."""
    class_name = encoder_class.__name__
    rate = float(config.get("sfreq") or RATES_HZ.get(class_name, DEFAULT_RATE_HZ))
    n_samples = round(shape.n_samples * rate / shape.sfreq_hz)
    resampled = replace(shape, sfreq_hz=rate, n_samples=n_samples)
    # sizes of the store replace those of the pretraining; the classifier is not used
    own = argument_values(resampled, int(config.get("n_outputs") or 2))
    values = {**config, **own, "input_window_seconds": None}
    accepted = inspect.signature(encoder_class.__init__).parameters
    values = {key: value for key, value in values.items() if key in accepted}
    network = construct(name, interpolating_class(encoder_class), values)
    try:
        missing = _load_state(network, state)
        encoder = EegEncoder(network, shape, rate, SCALES.get(class_name, "standardize"))
    except (RuntimeError, ValueError, TypeError, KeyError, IndexError) as error:
        raise SettingsError(
            f"evaluate.baselines: {name} does not accept the EEG of the store, "
            f"{len(shape.channels)} channels and {n_samples} samples at {rate:g} Hz: "
            f"{first_line(error).rstrip('.')}.",
            "Choose another encoder or another eeg.segment_s.",
        ) from error
    buffers = {key for key, _ in network.named_buffers()}
    return encoder, sorted(set(missing) & {*encoder.used, *buffers})


def interpolating_class(encoder_class: Any) -> Any:
    """Return braindecode's variant of a class that interpolates electrodes, or the class itself."""
    from braindecode.models.util import interpolated_models_dict

    variants = (c for c in interpolated_models_dict.values() if issubclass(c, encoder_class))
    return next(variants, encoder_class)


def _read_config(folder: Path, encoder_class: Any) -> dict[str, Any]:
    """Read the arguments of the constructor; classes are taken from torch.nn only."""
    values = read_json(folder / CONFIG, _HINT)
    if not isinstance(values, dict):
        raise WeightsError(f"{folder / CONFIG} is not the configuration of a model.", _HINT)
    parameters = inspect.signature(encoder_class.__init__).parameters
    config = {}
    for key, value in values.items():
        if key not in parameters or key in ("self", "kwargs", "chs_info"):
            continue
        if isinstance(parameters[key].default, type) and isinstance(value, str):
            value = _torch_class(value, folder)
        _check_numbers(value, folder)
        config[key] = value
    return config


def _torch_class(path: str, folder: Path) -> Any:
    found = getattr(nn, path.rpartition(".")[2], None)
    if not (path.startswith("torch.nn.") and isinstance(found, type)):
        raise WeightsError(
            f"{folder / CONFIG} names {path}: expected a class of torch.nn.",
            f"{_HINT} Code in a model folder is never run.",
        )
    return found


def _check_numbers(value: Any, folder: Path) -> None:
    if isinstance(value, list):
        for item in value:
            _check_numbers(item, folder)
    elif isinstance(value, int | float) and not abs(value) <= MAX_CONFIG_NUMBER:
        raise WeightsError(
            f"{folder / CONFIG}: expected numbers up to {MAX_CONFIG_NUMBER}, got {value}.", _HINT
        )


def _load_state(network: Any, state: Mapping[str, Tensor]) -> list[str]:
    """Load the weights that fit, and return the names of the others."""
    renamed = {(network.mapping or {}).get(key, key): value for key, value in state.items()}
    own = network.state_dict()
    for key in set(TIME_TABLES) & set(own) & set(renamed):
        renamed[key] = renamed[key][:, : own[key].shape[1]]
    fitting = {
        key: value
        for key, value in renamed.items()
        if key in own and (is_lazy(own[key]) or own[key].shape == value.shape)
    }
    network.load_state_dict(fitting, strict=False)
    return [key for key in own if key not in fitting and not key.startswith(_INTERPOLATION)]


def _used_parameters(network: nn.Module, eeg: Tensor) -> tuple[tuple[str, ...], int]:
    """Return the parameters that receive a gradient from the features, and their number."""
    with torch.enable_grad():
        features = _features(network.requires_grad_(True), eeg)
        features.sum().backward()
    used = tuple(name for name, p in network.named_parameters() if p.grad is not None)
    network.zero_grad(set_to_none=True)
    return used, features.shape[1]


def _noise(shape: EegShape) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 10 * torch.randn(2, len(shape.channels), shape.n_samples, generator=generator)


def _features(network: Any, eeg: Tensor) -> Tensor:
    """Average all tokens, (B, ..., d), to (B, d)."""
    tokens: Tensor = network(eeg, return_features=True)["features"]
    return tokens.reshape(len(tokens), -1, tokens.shape[-1]).mean(1)


def _rescale(eeg: np.ndarray, scale: Scale) -> np.ndarray:
    """Convert (B, C, T) microvolts to the unit of a pretraining; a constant signal gives 0."""
    tiny = np.finfo(np.float32).tiny
    match scale:
        case "100 uV":
            return eeg / np.float32(100)
        case "mV":
            return eeg / np.float32(1000)
        case "percentile":
            quantile = np.quantile(np.abs(eeg), 0.95, axis=-1, keepdims=True)
            return (eeg / np.maximum(quantile, tiny)).astype(np.float32)
        case "standardize":
            centered = eeg - eeg.mean(axis=(1, 2), keepdims=True)
            deviation = np.maximum(centered.std(axis=(1, 2), keepdims=True), tiny)
            return (centered / deviation).astype(np.float32)

"""Any EEG network with the interface of a Milmer model, as a baseline.

A network is named ``braindecode:CLASS``, or ``MODULE:CLASS`` for any importable class of torch. It
maps the EEG of a segment, (B, C, T) in microvolts, to logits, (B, n_classes). Its constructor gets
the arguments of `ARGUMENTS` that it has, by name.

Importing a module runs its code. `milmer_cli.settings` therefore accepts ``MODULE:CLASS`` only from
the command line and from Python, never from a settings file.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig

from milmer_cli.digests import file_digest
from milmer_cli.eeg.montage import electrode_info
from milmer_cli.errors import SettingsError, first_line
from milmer_cli.models.library_messages import offline
from milmer_cli.models.modeling_milmer import MilmerOutput
from milmer_cli.settings.baseline_names import BRAINDECODE

BRAINDECODE_MODELS = "braindecode.models"
INSTALL_BRAINDECODE = (
    "Install it with pip install 'milmer-cli[braindecode]'; torchaudio must come from the same "
    "package index as torch."
)

ARGUMENTS = {
    "n_chans": "n_channels",
    "n_channels": "n_channels",
    "n_times": "n_samples",
    "n_samples": "n_samples",
    "n_outputs": "n_classes",
    "n_classes": "n_classes",
    "sfreq": "sfreq_hz",
    "chs_info": "chs_info",
}
"""Argument of a constructor -> the value that it gets: first the names of braindecode, of which
``chs_info`` (names and positions of the channels, as in MNE's ``info["chs"]``) is given only if the
positions are known."""


@dataclass(frozen=True)
class EegShape:
    """The EEG for which a network is built.

    Attributes
    ----------
    channels
        Names of the channels.
    n_samples
        Samples of a segment.
    sfreq_hz
        Sampling rate.
    """

    channels: tuple[str, ...]
    n_samples: int
    sfreq_hz: float


class EegNetwork(nn.Module):
    """A network for EEG with the forward pass and the configuration of `MilmerModel`.

    Channels that are not found, and all channels of a segment without EEG, are set to zero.

    Parameters
    ----------
    network
        Maps (B, C, T) float32 microvolts to (B, n_classes) logits.
    class_names
        Names of the classes, in the order of the logits.

    Attributes
    ----------
    config
        ``num_labels``, ``modalities`` and ``temperatures``, as in `MilmerConfig`.
    """

    def __init__(self, network: nn.Module, class_names: tuple[str, ...]) -> None:
        super().__init__()
        self.network = network
        self.config: Any = PretrainedConfig(
            id2label=dict(enumerate(class_names)),
            modalities="eeg",
            temperatures={"both": 1.0, "eeg": 1.0, "face": 1.0},
        )

    def forward(
        self, eeg: Tensor, eeg_found: Tensor | None = None, channels_found: Tensor | None = None
    ) -> MilmerOutput:
        """Classify B segments; the arguments are those of `MilmerModel.forward`."""
        valid = torch.ones(eeg.shape[:2], dtype=torch.bool, device=eeg.device)
        if eeg_found is not None:
            valid = valid & eeg_found[:, None]
        if channels_found is not None:
            valid = valid & channels_found
        logits = self.network(torch.where(valid[..., None], eeg, 0.0))
        if not self.training:
            logits = logits / self.config.temperatures["eeg"]
        return MilmerOutput(logits=logits)


def build_eeg_network(name: str, shape: EegShape, class_names: tuple[str, ...]) -> EegNetwork:
    """Build a network with random weights; set the seed first.

    Parameters
    ----------
    name
        ``braindecode:CLASS`` or ``MODULE:CLASS``.
    shape
        The EEG of a segment.
    class_names
        Names of the classes.

    Raises
    ------
    SettingsError
        There is no such class, or it does not accept this EEG.
    """
    network_type = network_class(name)
    values = argument_values(shape, len(class_names))
    with warnings.catch_warnings(), offline():
        warnings.simplefilter("ignore")  # such as kernels that are adapted to short segments
        network = construct(name, network_type, _accepted(name, network_type, values))
        model = EegNetwork(network, class_names)
        _check_output(name, model, shape, len(class_names))
    return model


def network_class(name: str) -> Callable[..., Any]:
    """Import the class of a network.

    Raises
    ------
    SettingsError
        The module cannot be imported, or lacks the class.
    """
    module_name, _, class_name = name.partition(":")
    is_braindecode = module_name == BRAINDECODE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = importlib.import_module(BRAINDECODE_MODELS if is_braindecode else module_name)
    except Exception as error:  # the module of a user can raise anything
        raise SettingsError(
            f"evaluate.baselines: {name} needs the module {module_name}, which cannot be imported: "
            f"{first_line(error).rstrip('.')}.",
            INSTALL_BRAINDECODE
            if is_braindecode
            else f"Set PYTHONPATH to the folder that contains {module_name}.",
        ) from error
    found = getattr(module, class_name, None)
    if not callable(found):
        raise SettingsError(
            f"evaluate.baselines: expected a class of the module {module.__name__}, got "
            f"{class_name!r}.",
            f"The name is {BRAINDECODE}:CLASS or MODULE:CLASS.",
        )
    return found


def network_fingerprint(name: str) -> str:
    """Return what identifies the code of a network: the file of its class, or a version."""
    if name.startswith(f"{BRAINDECODE}:"):
        return importlib.metadata.version(BRAINDECODE)
    try:
        return file_digest(Path(inspect.getfile(network_class(name))))
    except (TypeError, OSError):  # not written in Python, or not a class
        return ""


def argument_values(shape: EegShape, n_classes: int) -> dict[str, Any]:
    """Return the values that the arguments of a constructor can get, by the names in `ARGUMENTS`.

    ``chs_info`` is missing if the position of a channel is not known.
    """
    values: dict[str, Any] = {
        "n_channels": len(shape.channels),
        "n_samples": shape.n_samples,
        "n_classes": n_classes,
        "sfreq_hz": shape.sfreq_hz,
    }
    if (info := electrode_info(shape.channels, shape.sfreq_hz)) is not None:
        values["chs_info"] = info["chs"]
    return {key: values[value] for key, value in ARGUMENTS.items() if value in values}


def construct(name: str, network_type: Callable[..., Any], values: Mapping[str, Any]) -> nn.Module:
    """Call the constructor of a network.

    Parameters
    ----------
    name
        Name of the network, for messages.
    network_type
        The class.
    values
        Argument -> value, only arguments that it has.

    Raises
    ------
    SettingsError
        The constructor fails, or does not return a module of torch.
    """
    try:
        network = network_type(**values)
    except Exception as error:  # each class has errors of its own
        raise _unsuitable(name, error) from error
    if not isinstance(network, nn.Module):
        raise SettingsError(
            f"evaluate.baselines: expected {name} to be a torch.nn.Module, got "
            f"{type(network).__name__}.",
            "Give a class whose forward pass maps (segments, channels, samples) to logits.",
        )
    return network


def _accepted(
    name: str, network_type: Callable[..., Any], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the values of the arguments that a constructor has."""
    try:
        parameters = inspect.signature(network_type).parameters
    except ValueError as error:  # not written in Python
        raise _unsuitable(name, error) from error
    return {key: values[key] for key in parameters if key in values}


def _check_output(name: str, model: EegNetwork, shape: EegShape, n_classes: int) -> None:
    """Run two segments without signal, which also initializes lazy modules."""
    eeg = torch.zeros(2, len(shape.channels), shape.n_samples)
    try:
        with torch.no_grad():
            logits = model.eval()(eeg).logits
    except Exception as error:  # each class has errors of its own
        raise _unsuitable(name, error) from error
    if logits.shape != (2, n_classes):
        raise SettingsError(
            f"evaluate.baselines: expected {n_classes} logits per segment from {name}, got the "
            f"shape {tuple(logits.shape)} for 2 segments.",
            "Choose a network that classifies segments.",
        )


def _unsuitable(name: str, error: Exception) -> SettingsError:
    return SettingsError(
        f"evaluate.baselines: {name} does not accept the EEG of the store: "
        f"{first_line(error).rstrip('.')}.",
        f"Its constructor can have the arguments {', '.join(ARGUMENTS)}; its forward pass gets "
        "(segments, channels, samples). Choose another network or another eeg.segment_s.",
    )

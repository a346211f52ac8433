"""Check the inputs of the model, and drop some of them in training."""

from __future__ import annotations

import torch
from torch import Tensor

from milmer_cli.models.configuration_milmer import MilmerConfig


def check_inputs(
    config: MilmerConfig,
    eeg: Tensor | None,
    channels_found: Tensor | None,
    instances: Tensor | None,
    needs_backbone: bool,
) -> None:
    """Check the shapes of the inputs of a forward pass.

    Parameters
    ----------
    config
        Configuration of the model.
    eeg : (B, C, T)
    channels_found : (B, C)
    instances : (B, I, ...)
        Face images or face tokens.
    needs_backbone
        Whether ``instances`` are images.

    Raises
    ------
    ValueError
        If an input is missing or has another shape.
    """
    if eeg is None and instances is None:
        raise ValueError(f"MilmerModel ({config.modalities}) needs eeg, faces or both")
    if eeg is not None:
        n_channels = config.n_channels if config.channel_embedding else eeg.shape[1]
        if eeg.shape[1:] != (n_channels, config.n_samples):
            raise ValueError(
                f"eeg: expected {n_channels} channels of {config.n_samples} samples, got "
                f"{eeg.shape[1]} of {eeg.shape[2]}"
            )
        if channels_found is not None and channels_found.shape != eeg.shape[:2]:
            raise ValueError(
                f"channels_found: expected the shape {tuple(eeg.shape[:2])} of segments and "
                f"channels, got {tuple(channels_found.shape)}"
            )
    if instances is not None and instances.shape[1] < config.min_instances:
        raise ValueError(
            f"faces: expected at least {config.min_instances} images a bag, got "
            f"{instances.shape[1]}"
        )
    if instances is not None and needs_backbone and config.backbone_config is None:
        raise ValueError("this MilmerModel has no backbone: expected face_tokens, got faces")


def drop_modality(eeg_found: Tensor, faces_found: Tensor, rate: float) -> tuple[Tensor, Tensor]:
    """Drop EEG or faces, with equal probability, from some segments that have both.

    Parameters
    ----------
    eeg_found : (B,) bool
    faces_found : (B, I) bool
    rate
        Fraction of the segments.
    """
    both = eeg_found & faces_found.any(1)
    draw = torch.rand(len(both), device=both.device)
    no_eeg = both & (draw < rate / 2)
    no_faces = both & (draw >= rate / 2) & (draw < rate)
    return eeg_found & ~no_eeg, faces_found & ~no_faces[:, None]


def drop_channels(channels_found: Tensor, rate: float) -> Tensor:
    """Drop EEG channels of each segment; a segment that would lose all of them keeps all.

    Parameters
    ----------
    channels_found : (B, C) bool
    rate
        Probability that a channel is dropped.
    """
    if not rate:
        return channels_found
    kept = channels_found & (torch.rand(channels_found.shape, device=channels_found.device) >= rate)
    return torch.where(kept.any(1, keepdim=True), kept, channels_found)

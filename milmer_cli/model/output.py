"""What the model gives back."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from transformers.utils import ModelOutput


@dataclass
class MilmerOutput(ModelOutput):
    """What `MilmerModel` returns for B segments.

    Attributes
    ----------
    loss : () float, or None
        Mean cross entropy, where labels were given.
    logits : (B, classes) float
    instance_weights : (B, I) float, or None without faces
        Weight of each instance in its bag; exactly 0 for a missing one.
    chosen : (B, k) int64, or None where nothing is chosen (amil, mean,
        no faces)
        Indices of the kept instances, best first; -1 where fewer were found.
    eeg_attention : (B, C) float, or None unless asked for
        Attention of CLS to each EEG channel, averaged over heads and layers.
    face_attention : (B, n) float, or None unless asked for
        Attention of CLS to each kept face token (k faces of N tokens, best face first; one token
        with amil and mean), through the queries of the cross-attention where there are some. Both
        attentions and what CLS pays itself sum to 1.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    instance_weights: Tensor | None = None
    chosen: Tensor | None = None
    eeg_attention: Tensor | None = None
    face_attention: Tensor | None = None

"""Amplitude features of the EEG channels, which LayerNorm removes from the EEG tokens.

To add a kind of feature: name it in `EegAmplitude` of the settings schema, count its values in
`AmplitudeToken.__init__`, and compute it in `AmplitudeToken.features`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from milmer_cli.models.configuration_milmer import MilmerConfig

BANDS_HZ = ((1.0, 4.0), (4.0, 8.0), (8.0, 13.0), (13.0, 30.0), (30.0, 45.0))
"""Delta, theta, alpha, beta and gamma."""
MIN_BANDWIDTH_HZ = 2.0
MIN_SD_UV = 0.01
"""Amplitude of a flat channel, in microvolts: far below the noise of any amplifier."""
MIN_SCALE = 0.01
"""Smallest standard deviation of a feature: a channel that is always flat has 0."""
LIMIT = 5.0
"""Largest absolute value of a standardized feature, so that a flat or loose electrode cannot
outweigh all other channels."""


class AmplitudeToken(nn.Module):
    r"""Map the amplitude of each EEG channel to a token of size d, to be added to its EEG token.

    The features :math:`f_c` of a channel are the natural logarithm of its standard deviation in
    microvolts (``sd``, F = 1), or of its mean power in each band in microvolts squared per bin of
    the spectrum (``bands``). They are standardized for each channel and pass a linear layer without
    bias: :math:`W_c\,(f_c - \mu_c) / \sigma_c`. Each channel has its own weights: with shared
    weights, a small model needs many more steps to learn where an amplitude is. Without
    ``channel_embedding``, the channels share the weights and the standardization (C = 1 below), so
    that the model remains invariant to their order.

    Parameters
    ----------
    config
        ``eeg_amplitude``, ``channel_embedding``, ``n_channels``, ``n_samples``, ``sfreq_hz``,
        ``band_hz`` and ``hidden_size`` are used.

    Attributes
    ----------
    mean, sd : (C, F) float32 buffers
        Mean and standard deviation of the features over the training set, see `standardize`;
        saved with the model. 0 and 1 before.
    weight : (C, F, d) float
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, config: MilmerConfig) -> None:
        super().__init__()
        self.bins = band_bins(config) if config.eeg_amplitude == "bands" else []
        shape = (config.n_channels if config.channel_embedding else 1, len(self.bins) or 1)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("sd", torch.ones(shape))
        self.weight = nn.Parameter(torch.zeros(*shape, config.hidden_size))

    def forward(self, eeg: Tensor) -> Tensor:
        """Map (B, C, T) microvolts to (B, C, d)."""
        # in half precision the logarithm of small differences in power is lost
        with torch.autocast(eeg.device.type, enabled=False):
            features = (self.features(eeg) - self.mean.float()) / self.sd.float()
            features = features.clamp(-LIMIT, LIMIT)
        return torch.einsum("bcf,cfd->bcd", features.to(self.weight.dtype), self.weight)

    def features(self, eeg: Tensor) -> Tensor:
        """Compute the features before standardization.

        Parameters
        ----------
        eeg : (B, C, T)
            Microvolts.

        Returns
        -------
        Tensor
            (B, C, F) float32, finite for a flat channel.
        """
        eeg = eeg.float()
        centered = eeg - eeg.mean(-1, keepdim=True)
        floor = 2 * math.log(MIN_SD_UV)
        if not self.bins:
            return 0.5 * _log_power(centered.square().mean(-1, keepdim=True), floor)
        n_samples = eeg.shape[-1]
        window = torch.hann_window(n_samples, device=eeg.device)
        spectrum = torch.fft.rfft(centered * window).abs().square()
        # by Parseval's theorem the bins of white noise then have its variance
        spectrum = spectrum / window.square().sum()
        power = torch.stack([spectrum[..., start:end].mean(-1) for start, end in self.bins], -1)
        return _log_power(power, floor)

    @torch.no_grad()
    def standardize(self, features: Tensor, found: Tensor | None = None) -> None:
        """Set the mean and standard deviation to those of a set of segments.

        Parameters
        ----------
        features : (B, C, F)
        found : (B, C) bool
            Channels of segments that are used; all if None. A channel that is never found keeps a
            mean of 0 and a standard deviation of 1.
        """
        axes = (0,) if len(self.mean) == features.shape[1] else (0, 1)
        features = features.double()
        if found is not None:
            features = torch.where(found[..., None], features, torch.nan)
        mean = features.nanmean(axes)
        sd = (features - mean).square().nanmean(axes).sqrt()
        self.mean.copy_(mean.nan_to_num(0.0))
        self.sd.copy_(sd.nan_to_num(1.0).clamp(min=MIN_SCALE))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the weights as those of `torch.nn.Linear`; set the mean to 0 and the sd to 1."""
        nn.init.uniform_(self.weight, -(bound := self.weight.shape[1] ** -0.5), bound)
        self.mean.zero_()
        self.sd.fill_(1.0)


def band_bins(config: MilmerConfig) -> list[tuple[int, int]]:
    """Find the bins of the spectrum of a segment in each band, as (start, end).

    Bands are limited to the pass band, and dropped if less than 2 Hz or no bin remains. If none
    remains, the pass band is the only band.
    """
    low, high = config.band_hz
    limited = [(max(start, low), min(end, high)) for start, end in BANDS_HZ]
    bands = [(start, end) for start, end in limited if end - start >= MIN_BANDWIDTH_HZ]
    resolution_hz = config.sfreq_hz / config.n_samples
    bins = [
        (math.ceil(start / resolution_hz - 1e-6), math.ceil(end / resolution_hz - 1e-6))
        for start, end in bands or [(low, high)]
    ]
    n_bins = config.n_samples // 2 + 1
    bins = [(start, min(end, n_bins)) for start, end in bins]
    return [(start, end) for start, end in bins if start < end] or [(1, n_bins)]


def _log_power(power: Tensor, floor: float) -> Tensor:
    """Natural logarithm of a power in microvolts squared, at least ``floor``."""
    return power.clamp(min=math.exp(floor)).log()

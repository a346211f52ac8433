"""Defects of the published code that a preset or a setting reproduces."""

from __future__ import annotations

from milmer_cli.settings.schema import Settings

LAYOUT = (
    "eeg.layout=published reproduces the published code's reshape, which mixes electrodes and "
    'time: a "segment" of 3 s is 2-3 electrodes over the whole trial. Use it only to put the '
    "published result in context."
)
TIES = (
    "data.ties=published reproduces the published code's classes: every trial with an arousal "
    "of exactly 5 is labeled HALV, even if its valence is high."
)
SCORER = (
    "model.scorer=published reproduces the published attention scorer (1.4 billion weights with "
    "Swin-Tiny), which receives no gradient and is never trained."
)


def published_defects(settings: Settings) -> list[str]:
    """Return one sentence for each defect of the published code that the settings reproduce."""
    defects = (
        (settings.eeg.layout == "published", LAYOUT),
        (settings.data.ties == "published", TIES),
        (settings.model.scorer == "published", SCORER),
    )
    return [sentence for reproduced, sentence in defects if reproduced]

"""What settings take over from the published code: said wherever they are in force."""

from __future__ import annotations

from milmer_cli.settings.schema import Settings

LAYOUT = (
    "eeg.layout=published reproduces the published code's reshape, which mixes electrodes and "
    'time: a "segment" of 3 s is 2-3 electrodes over the whole trial. Use it only to put the '
    "published number in context."
)
TIES = (
    "data.ties=published reproduces the published code's classes: every arousal of exactly 5 "
    "counts as HALV, even where valence is high."
)
SCORER = (
    "model.scorer=published reproduces the published scorer: it only picks faces and no gradient "
    "reaches it (1.4 billion weights with Swin-Tiny)."
)


def published_notes(settings: Settings) -> list[str]:
    """Name the faults of the published code that ``settings`` reproduce, one sentence each."""
    notes = (
        (settings.eeg.layout == "published", LAYOUT),
        (settings.data.ties == "published", TIES),
        (settings.model.scorer == "published", SCORER),
    )
    return [note for in_force, note in notes if in_force]

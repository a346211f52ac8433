"""Neuroscan CNT files: which channels are flagged as bad."""

from __future__ import annotations

from pathlib import Path

import mne

from milmer_cli.input_files import open_input

_SETUP_BYTES, _ELECTRODE_BYTES = 900, 75
_NAME, _OLD_FLAG, _FLAG = slice(0, 10), 4, 14
"""Positions in the header of an electrode."""


def correct_bad_channels(raw: mne.io.BaseRaw, path: Path) -> None:
    """Remove channels from ``raw.info["bads"]`` that are not flagged as bad.

    Old files have the flag at a position that belongs to the name of the channel if the name has
    more than four characters. MNE reads both positions, so that such channels always seem bad.
    """
    with open_input(path) as file:
        header = file.read(_SETUP_BYTES + _ELECTRODE_BYTES * len(raw.ch_names))
    if header.startswith(b"RIFF"):  # a file of ANT Neuro, with the same suffix
        return
    bads = []
    for index, name in enumerate(raw.ch_names):
        electrode = header[_SETUP_BYTES + _ELECTRODE_BYTES * index :][:_ELECTRODE_BYTES]
        has_long_name = len(electrode[_NAME].partition(b"\0")[0].rstrip()) > _OLD_FLAG
        if electrode[_FLAG] or (electrode[_OLD_FLAG] and not has_long_name):
            bads.append(name)
    raw.info["bads"] = bads

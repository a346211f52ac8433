"""Opening an EEG recording and matching its channels with those of the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from milmer_cli.bundle.contents import Bundle
from milmer_cli.datasets.deap.bdf import open_deap_bdf
from milmer_cli.eeg.biosemi import check_bdf
from milmer_cli.eeg.channels import find_derivations
from milmer_cli.eeg.io import AS_RECORDED, EegBlock, ReadOptions, open_eeg
from milmer_cli.eeg.montage import ChannelMatch, match_channels, select_electrodes
from milmer_cli.errors import InputError, shorten


@dataclass(frozen=True)
class EegRecording:
    """An opened EEG recording whose channels are renamed to those of the model.

    Attributes
    ----------
    path
        The file.
    block
        Its ``raw`` contains the matched EEG channels, the EOG channels and the trigger channels.
    channels
        EEG channels of the model, in its order.
    match
        Channels of the file that correspond to those of the model.
    """

    path: Path
    block: EegBlock
    channels: tuple[str, ...]
    match: ChannelMatch


def open_recording(
    path: Path,
    bundle: Bundle,
    eog: str = "",
    options: ReadOptions = AS_RECORDED,
) -> EegRecording:
    """Open a recording and match its channels with those of a model.

    Parameters
    ----------
    path
        Any format that MNE reads; see `open_block`.
    bundle
        The model. ``quality.max_bad_channels`` limits the number of missing channels.
    eog
        As `Request.eog`.
    options
        New names of channels and their unit.

    Raises
    ------
    InputError
        The file cannot be read, its channels are ambiguous, or too many channels are missing.
    """
    block = open_block(path, eog, replace(options, eeg_channels=bundle.channels))
    types = dict(zip(block.raw.ch_names, block.raw.get_channel_types(), strict=True))
    eog_names = [name for pair in block.eog for name in pair]
    eeg_names = [name for name, kind in types.items() if kind == "eeg" and name not in eog_names]
    match = match_channels(bundle.channels, eeg_names, str(path))
    n_channels = len(bundle.channels)
    allowed = min(int(bundle.settings.quality.max_bad_channels * n_channels), n_channels - 1)
    if len(match.missing) > allowed:
        raise InputError(
            f"{path} lacks {len(match.missing)} of the {n_channels} channels that the model was "
            f"trained on ({shorten(match.missing)}), and at most {allowed} can be interpolated.",
            f"Its channels are {shorten(eeg_names)}. Rename them with --channels, or predict from "
            "the video only: --no-eeg.",
        )
    renamed_eog = select_electrodes(block.raw, match, block.eog)
    block = replace(block, eog=renamed_eog)
    return EegRecording(path, block, bundle.channels, match)


def open_block(path: Path, eog: str = "", options: ReadOptions = AS_RECORDED) -> EegBlock:
    """Open a recording with all its channels.

    A BDF file with DEAP's channels and status codes gets DEAP's EOG channels and its stimulus
    onsets, unless ``eog`` is given.

    Parameters
    ----------
    path
        Any format that MNE reads.
    eog
        As `Request.eog`.
    options
        Electrodes, new names of channels, and their unit.

    Raises
    ------
    InputError
        The file cannot be read, or it lacks an EOG channel that is named.
    """
    if path.suffix.lower() == ".bdf":
        check_bdf(path)
        stated = eog or options.renames or options.unit
        if not stated and (block := _deap_block(path)) is not None:
            return block
    raw = open_eeg(path, options)
    derivations = [text for part in eog.split(";") if (text := part.strip())]
    pairs = find_derivations(derivations, raw.ch_names, str(path))
    types = {name: "eog" for pair in pairs for name in pair}
    raw.set_channel_types(types, on_unit_change="ignore", verbose="error")
    return EegBlock(raw, {}, eog=pairs)


def _deap_block(path: Path) -> EegBlock | None:
    try:
        block = open_deap_bdf(path)
    except InputError:  # a BDF file without DEAP's channels
        return None
    return block if block.onset_s and block.eog else None

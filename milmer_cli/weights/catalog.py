"""List, verify and fetch the weights of the face detectors and of the backbone."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from milmer_cli.errors import InputError, WeightsError
from milmer_cli.faces import centerface
from milmer_cli.faces.detector import DETECTORS, weights_dir
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings.schema import Settings
from milmer_cli.weights.checksums import find_checksum, record_checksum
from milmer_cli.weights.contents import require_complete
from milmer_cli.weights.download import download, require_address
from milmer_cli.weights.hub import cached_files, fetch_backbone, hub_cache, is_repository
from milmer_cli.weights.result import State, WeightFile, Weights, WeightsResult


def list_weights(settings: Settings, verify: bool = False) -> WeightsResult:
    """Return the state of every face detector and of the backbone of the settings.

    Parameters
    ----------
    settings
        ``faces.weights_dir`` and ``model.backbone``.
    verify
        Compute the checksums; otherwise only the existence of files is checked.
    """
    names = [*DETECTORS, *([settings.model.backbone] if _is_on_hub(settings) else [])]
    return _result(names, settings, verify)


def fetch_weights(
    names: Sequence[str], settings: Settings, mirror: str = "", progress: Progress = SILENT
) -> WeightsResult:
    """Download the weights that are missing, damaged or without a checksum, and verify all.

    Parameters
    ----------
    names
        Face detectors, or backbones on the Hugging Face Hub (``OWNER/NAME``).
    settings
        ``faces.weights_dir``.
    mirror
        Address to download from instead: of the folder with the files of the face detectors, or of
        a mirror of the Hub.
    progress
        Advanced by megabytes, one task per file.

    Raises
    ------
    InputError
        A name is unknown, or the folder is not writable.
    WeightsError
        The files cannot be downloaded, or have another checksum.
    """
    for name in names:
        _require_name(name)
    if mirror:
        require_address(mirror, "--mirror")
    recorded: list[Path] = []
    for name in dict.fromkeys(names):
        if name in DETECTORS:
            recorded += _fetch_detector(name, weights_dir(settings.faces), mirror, progress)
        else:
            fetch_backbone(name, mirror, progress)
    return _result(list(dict.fromkeys(names)), settings, verify=True, recorded=recorded)


def _require_name(name: str) -> None:
    if name in DETECTORS or is_repository(name):
        return
    if Path(name).expanduser().exists():
        raise InputError(
            f"{name} is a path on this machine: expected the name of weights to download.",
            f"A folder with a backbone needs no download; use it with --swin {name}.",
        )
    raise InputError(
        f"No weights are named {name}: expected one of {', '.join(DETECTORS)}, or a model on the "
        "Hugging Face Hub as OWNER/NAME.",
        "Run `milmer weights list` for the names.",
    )


def _result(
    names: Sequence[str], settings: Settings, verify: bool, recorded: Sequence[Path] = ()
) -> WeightsResult:
    folder = weights_dir(settings.faces)
    weights = (
        _detector(name, folder, verify, recorded)
        if name in DETECTORS
        else Weights(name, "backbone", cached_files(name, verify))
        for name in names
    )
    return WeightsResult(tuple(weights), folder, hub_cache())


def _is_on_hub(settings: Settings) -> bool:
    name = settings.model.backbone
    return is_repository(name) and not Path(name).is_dir()


def _detector(name: str, folder: Path, verify: bool, recorded: Sequence[Path]) -> Weights:
    spec = DETECTORS[name]
    if name == "centerface":
        files = [_centerface_file(verify)]
    else:
        files = [_detector_file(folder / file, url, verify) for file, url in spec.weights]
    files = [replace(file, state="recorded") if file.path in recorded else file for file in files]
    lacks_package = spec.package and importlib.util.find_spec(spec.package) is None
    note = f"needs `pip install {spec.package}`" if lacks_package else ""
    return Weights(name, "face detector", tuple(files), note)


def _detector_file(path: Path, url: str, verify: bool) -> WeightFile:
    checksum = find_checksum(path)
    state: State = "present"
    if not path.is_file():
        state = "missing"
    elif verify and checksum is None:
        state = "unverified"
    elif verify and checksum is not None:
        state = "verified" if checksum.matches(path) else "damaged"
    return WeightFile(path, url, state, checksum)


def _centerface_file(verify: bool) -> WeightFile:
    path = Path(centerface.WEIGHTS)
    checksum = find_checksum(path)
    try:
        path = centerface.weights_file()  # verifies it
    except WeightsError:
        return WeightFile(path, "", "damaged", checksum)
    return WeightFile(path, "", "verified" if verify else "present", checksum)


def _fetch_detector(name: str, folder: Path, mirror: str, progress: Progress) -> list[Path]:
    """Download the files of a detector; return those whose checksum was recorded only now."""
    recorded = []
    for file, url in DETECTORS[name].weights:
        if _detector_file(folder / file, url, verify=True).state == "verified":
            continue
        checksum = find_checksum(folder / file)
        source = f"{mirror.rstrip('/')}/{file}" if mirror else url
        require = None if checksum else require_complete
        download(source, folder / file, checksum, progress=progress, require=require)
        if checksum is None:
            record_checksum(folder / file)
            recorded.append(folder / file)
    return recorded

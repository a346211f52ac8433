"""Write a bundle: from a model in memory, or as a verified copy of another bundle."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from milmer_cli.bundle.card import Evaluation, model_card
from milmer_cli.bundle.contents import Bundle
from milmer_cli.bundle.document import (
    CALIBRATION,
    CARD,
    DIGESTED,
    DOCUMENT,
    FILES,
    HINT,
    METRICS,
    SOURCES,
    BundleDocument,
)
from milmer_cli.bundle.files import ZipFiles, write_zip
from milmer_cli.bundle.sources import UsedTrial, sources_to_json
from milmer_cli.digests import file_digest
from milmer_cli.errors import InputError, shorten
from milmer_cli.folder_lock import is_unused
from milmer_cli.formats import write_document
from milmer_cli.io import atomic_files, atomic_folder, atomic_write
from milmer_cli.json_files import to_json
from milmer_cli.models import MilmerModel
from milmer_cli.models.library_messages import quiet
from milmer_cli.partial_files import remove_tree

ZIP = ".zip"
_METRICS_KEYS = (
    "protocol", "headline", "transductive", "headline_per_modality", "above_chance_per_modality",
    "calibration", "segments", "segments_per_class",
)  # fmt: skip
_OTHER_FOLDER = "Choose another folder or file with --to."


def bundle_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a bundle states of the metrics of a run: no scores of single participants."""
    test = metrics["test"]
    own = {name: metrics[name] for name in _METRICS_KEYS}
    return own | {"test": None if test is None else {"above_chance": test["above_chance"]}}


def write_bundle(
    folder: Path,
    model: MilmerModel,
    document: BundleDocument,
    metrics: Mapping[str, Any],
    used: Sequence[UsedTrial] = (),
    draw_calibration: Callable[[Path], object] | None = None,
) -> None:
    """Write a bundle into a folder.

    Parameters
    ----------
    folder
        Created if it is missing.
    model
        The trained model.
    document
        The contents of bundle.json, without digests and temperatures.
    metrics
        Result of `bundle_metrics`.
    used
        The parts of files in the sets of the model; empty if they are not known.
    draw_calibration
        Writes the reliability diagram to a path; None without a test set.

    Raises
    ------
    InputError, MilmerError
        The folder cannot be written.
    """
    metrics = to_json(metrics)
    with atomic_files(folder) as staged:
        with quiet():
            model.save_pretrained(staged)
        write_document(staged / METRICS, "bundle-metrics", metrics)
        if used:
            write_document(staged / SOURCES, "bundle-sources", sources_to_json(used))
        if draw_calibration is not None:
            draw_calibration(staged / CALIBRATION)
        digests = {
            name: file_digest(staged / name) for name in DIGESTED if (staged / name).is_file()
        }
        complete = replace(document, files=digests, temperatures=model.config.temperatures)
        atomic_write(staged / CARD, model_card(complete, metrics))
        write_document(staged / DOCUMENT, "bundle", complete.to_json())


def export_bundle(bundle: Bundle, target: Path, evaluation: Evaluation | None = None) -> list[Path]:
    """Write a verified copy of a bundle.

    Parameters
    ----------
    bundle
        The bundle.
    target
        A folder, or a zip file by its suffix. An earlier export there is replaced.
    evaluation
        Its verdict is added to the model card, which is then written anew.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    InputError
        The bundle is damaged, or ``target`` contains something else.
    """
    require_target(target, bundle)
    bundle.verify()
    files, listed = bundle.files, bundle.document.files or {}
    names = [name for name in files.names() if name in listed or name not in DIGESTED]
    replaced: dict[str, bytes] = {}
    if evaluation is not None:
        replaced[CARD] = _new_card(bundle, evaluation).encode()
    names = sorted({*names, *replaced})
    if CARD in names:
        _require_unedited_card(target, replaced.get(CARD) or files.read(CARD))
    if _is_zip(target):
        write_zip(files, names, target, replaced)
        return [target]
    with atomic_folder(target.absolute()) as staged:
        for name in names:
            content = replaced.get(name)
            atomic_write(staged / name, files.write_to(name) if content is None else content)
        remove_tree(target)  # an earlier export, or an empty folder
    return [target / name for name in names]


def _new_card(bundle: Bundle, evaluation: Evaluation) -> str:
    try:
        return model_card(bundle.document, bundle.metrics(), evaluation)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        where = bundle.files.where(METRICS)
        raise InputError(f"{where} is damaged: {error!r}.", HINT) from error


def _is_zip(target: Path) -> bool:
    """Return whether an export to ``target`` is a zip file, by its suffix."""
    return target.name.lower().endswith(ZIP)


def _require_unedited_card(target: Path, card: bytes) -> None:
    """Check that an earlier export contains no text of its author that ``card`` lacks."""
    try:
        earlier = Bundle.open(target)
        own = earlier.files.read(CARD)
        written = _without_verdict(model_card(earlier.document, earlier.metrics()).encode())
    except (InputError, KeyError, TypeError, ValueError, AttributeError):
        return  # there is none, or it is damaged
    if own != card and _without_verdict(own) != written:
        raise InputError(
            f"The model card in {target} was edited, and the export would replace it.",
            f"{_OTHER_FOLDER.rstrip('.')}, or remove the earlier export.",
        )


def _without_verdict(card: bytes) -> bytes:
    """Return a card without the section that ``--evaluation`` changes."""
    return re.sub(rb"\n## Shortcuts\n.*?(?=\n## |\Z)", b"", card, flags=re.DOTALL)


def require_target(target: Path, bundle: Bundle) -> None:
    """Check that an export can be written, and replaces nothing but an earlier export.

    Raises
    ------
    InputError
        ``target`` is the bundle itself, or contains anything but a bundle.
    """
    try:
        target.lstat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:  # a name that no file can have
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--to {str(target)[:200]}: {reason}.", _OTHER_FOLDER) from error
    if target.exists() and bundle.path.exists() and target.samefile(bundle.path):
        raise InputError(f"{target} is the bundle that is exported.", _OTHER_FOLDER)
    if _is_zip(target):
        if target.is_dir() or (target.exists() and not _is_bundle_zip(target)):
            raise InputError(f"{target} exists and is not an exported bundle.", _OTHER_FOLDER)
        return
    if target.suffix.lower() == ".onnx":
        raise InputError(
            f"--to {target}: expected a folder, a file that ends in .zip, or onnx.",
            "Use --to onnx --out DIR for ONNX files.",
        )
    if target.resolve() == Path.cwd():
        raise InputError(
            f"{target} is the working directory, which is not replaced.", _OTHER_FOLDER
        )
    if target.exists() and not target.is_dir():
        raise InputError(
            f"{target} exists and is not a folder.", "Give a folder, or a file that ends in .zip."
        )
    if is_unused(target):
        return
    others = sorted(path.name for path in target.iterdir() if path.name not in FILES)
    if others or not (target / DOCUMENT).is_file():
        listed = f": it contains {shorten(others, 3)}" if others else ""
        raise InputError(f"{target} is not an exported bundle{listed}.", _OTHER_FOLDER)


def _is_bundle_zip(path: Path) -> bool:
    try:
        files = Bundle.open(path).files
    except InputError:
        return False
    return isinstance(files, ZipFiles) and not files.others

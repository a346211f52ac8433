"""How the images of a fine-tuned backbone were cropped, in a file beside its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from milmer_cli.errors import InputError
from milmer_cli.faces.detector import DETECTORS
from milmer_cli.formats import KEY, check_version, write_document
from milmer_cli.json_files import read_json
from milmer_cli.settings.schema import FacesSettings

FILE = "face_crop.json"


def write_face_crop(
    folder: Path, cropped: Mapping[str, bool], faces: FacesSettings, detector: str
) -> None:
    """Write how the images were cropped.

    Parameters
    ----------
    folder
        Folder of the backbone.
    cropped
        Whether each data set was cropped; by its name.
    faces, detector
        Section ``faces``, and the name of the detector; empty if there was none.
    """
    crop = {"cropped": dict(cropped), **_crop(faces, detector)}
    write_document(folder / FILE, "face-crop", crop)


def describe_other_crop(backbone: str | Path, faces: FacesSettings, detector: str) -> str:
    """Return one sentence if the faces of a store are cropped in another way than the images.

    Parameters
    ----------
    backbone
        As for `backbones.load_backbone`.
    faces, detector
        Section ``faces`` of the store, and the name of its detector.

    Returns
    -------
    str
        Empty if both are cropped in the same way, the images were not cropped by
        ``milmer finetune-swin``, or the backbone was not written by it.

    Raises
    ------
    InputError
        The file of the backbone is damaged.
    """
    path = Path(backbone) / FILE
    if not path.is_file():
        return ""
    recorded, of_store = _read(path), _crop(faces, detector)
    if not any(recorded["cropped"].values()):
        return ""
    if recorded["align"] and of_store["align"]:
        recorded.pop("detector", None)  # the crop follows the landmarks, not the box
    differences = [
        f"faces.{name}={recorded[name]} instead of {value}"
        for name, value in of_store.items()
        if name in recorded and recorded[name] != value
    ]
    if not differences:
        return ""
    return (
        f"{backbone} was fine-tuned on faces that were cropped in another way than those of the "
        f"store ({', '.join(differences)}): run `milmer finetune-swin` with the settings of the "
        "store."
    )


def _read(path: Path) -> dict[str, Any]:
    hint = "Restore the file from a copy, or run `milmer finetune-swin` again."
    document: dict[str, Any] = read_json(path, hint)
    is_object = isinstance(document, dict) and isinstance(document.get("cropped"), dict)
    if not is_object or "align" not in document:
        raise InputError(f"{path}: expected an object with the values cropped and align.", hint)
    check_version(path, "face-crop", document)
    return {name: value for name, value in document.items() if name != KEY}


def _crop(faces: FacesSettings, detector: str) -> dict[str, object]:
    """Return what determines the crop; only detectors with landmarks can align."""
    aligns = faces.align and bool(detector) and DETECTORS[detector].landmarks
    return {"detector": detector, "margin": faces.margin, "align": aligns}

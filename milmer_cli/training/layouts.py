"""Layouts of expression data sets: how each is recognised and read, by the numbers of its own."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.training.expressions import PARTS, ExpressionSet, Part, Picture, canonical

FER2013 = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
FERPLUS = (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt",
)  # fmt: skip
RAFDB = (None, "surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
AFFECTNET = (
    "neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt",
)  # fmt: skip
CKPLUS = (
    "neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise",
)  # fmt: skip

IMAGES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


def read_set(source: str | Path) -> ExpressionSet:
    """Read a data set.

    Parameters
    ----------
    source
        Its folder or csv file, whose layout is recognised; or ``KIND=PATH`` with a kind of `KINDS`.

    Raises
    ------
    InputError
        It is missing, of no known layout, or empty.
    """
    kind, path = _named(str(source))
    if not path.exists():
        raise InputError(
            f"There is no {path}.", "Give a folder of images, or a csv file, to --data."
        )
    reads = _fitting(kind, path)
    found = reads(path)
    if not found.pictures:
        raise InputError(f"{path} was read as {found.kind} and holds no usable picture.", _LAYOUTS)
    return found


def _named(source: str) -> tuple[str, Path]:
    kind, equals, rest = source.partition("=")
    return (kind, Path(rest)) if equals and kind in KINDS else ("", Path(source))


def _fitting(kind: str, path: Path) -> Callable[[Path], ExpressionSet]:
    if kind:
        return KINDS[kind][1]
    for fits, reads in KINDS.values():
        if fits(path):
            return reads
    raise InputError(
        f"{path} has the layout of no expression data set that Milmer knows.", _LAYOUTS
    )


# Class per folder ------------------------------------------------------------------------------


def _is_folders(path: Path) -> bool:
    return path.is_dir() and any(True for _ in _folder_pictures(path))


def _read_folders(path: Path) -> ExpressionSet:
    return ExpressionSet("folders", path, tuple(_folder_pictures(path)))


def _folder_pictures(path: Path) -> Iterator[Picture]:
    inner = sorted(child for child in path.iterdir() if child.is_dir())
    own = {child: PARTS.get(child.name.lower()) for child in inner}
    if inner and all(own.values()):
        for child in inner:
            for picture in _folder_pictures(child):
                yield Picture(picture.image, picture.label, picture.name, own[child] or "")
        return
    part = PARTS.get(path.name.lower(), "")
    for child in inner:
        for file in sorted(child.rglob("*")):
            if file.suffix.lower() in IMAGES:
                yield Picture(file, canonical(child.name), str(file), part)


# FER2013 and FER+ ------------------------------------------------------------------------------


def _fer_file(path: Path) -> Path | None:
    for file in (path,) if path.is_file() else (path / "fer2013.csv", path / "icml_face_data.csv"):
        if file.suffix == ".csv" and file.is_file() and {"emotion", "pixels"} <= set(_header(file)):
            return file
    return None


def _is_fer2013(path: Path) -> bool:
    return _fer_file(path) is not None


def _read_fer2013(path: Path) -> ExpressionSet:
    file = _fer_file(path)
    if file is None:
        raise InputError(f"{path} holds no FER2013 csv file.", _LAYOUTS)
    pictures, broken = [], 0
    for number, row in enumerate(_rows(file), start=2):
        pixels = _pixels(row["pixels"])
        if pixels is None or not row["emotion"].strip().isdigit():
            broken += 1
            continue
        label = FER2013[int(row["emotion"])]
        name = f"{file}, line {number}"
        pictures.append(Picture(pixels, label, name, _usage(row.get("Usage", ""))))
    return ExpressionSet("fer2013", file, tuple(pictures), _reasons({"broken pixels": broken}))


def _ferplus_file(path: Path) -> Path | None:
    file = path if path.is_file() else path / "fer2013new.csv"
    fits = file.suffix == ".csv" and file.is_file() and {"NF", "contempt"} <= set(_header(file))
    return file if fits else None


def _is_ferplus(path: Path) -> bool:
    return _ferplus_file(path) is not None


def _read_ferplus(path: Path) -> ExpressionSet:
    file = _ferplus_file(path)
    fer = _fer_file(path if path.is_dir() else path.parent)
    if file is None or fer is None:
        raise InputError(
            f"{path} needs both files of FER+: fer2013new.csv, and fer2013.csv with the pixels.",
            "Put them into one folder.",
        )
    votes, faces = list(_rows(file)), list(_rows(fer))
    if len(votes) != len(faces):
        raise InputError(
            f"{file} has {len(votes)} rows and {fer} {len(faces)}: they do not belong together.",
            "Take both from the same release.",
        )
    pictures = []
    lost: Counter[str] = Counter()
    for number, (vote, face) in enumerate(zip(votes, faces, strict=True), start=2):
        counts = {name: int(vote[name] or 0) for name in (*FERPLUS, "unknown", "NF")}
        most = max(counts.values())
        winners = [name for name, count in counts.items() if count == most]
        pixels = _pixels(face["pixels"])
        if not vote["Image name"].strip():
            lost["no image name"] += 1
        elif len(winners) > 1:
            lost["no class has most votes"] += 1
        elif winners[0] not in FERPLUS:
            lost["voted unknown or not a face"] += 1
        elif pixels is None:
            lost["broken pixels"] += 1
        else:
            name = f"{file}, line {number}"
            pictures.append(Picture(pixels, winners[0], name, _usage(vote["Usage"])))
    return ExpressionSet("ferplus", file, tuple(pictures), _reasons(lost))


def _usage(text: str) -> Part:
    return PARTS.get(text.strip().lower(), "")


def _pixels(text: str) -> np.ndarray | None:
    """Square grey image from its pixels in words; None when they are no square."""
    try:
        values = np.array(text.split(), dtype=np.uint8)
    except (ValueError, OverflowError):
        return None
    side = round(len(values) ** 0.5)
    return values.reshape(side, side) if side and side**2 == len(values) else None


# RAF-DB ----------------------------------------------------------------------------------------


def _raf_list(path: Path) -> Path:
    return path / "EmoLabel" / "list_patition_label.txt"


def _is_rafdb(path: Path) -> bool:
    return _raf_list(path).is_file() or _raf_list(path / "basic").is_file()


def _read_rafdb(path: Path) -> ExpressionSet:
    root = path if _raf_list(path).is_file() else path / "basic"
    pictures, missing = [], 0
    for line in _raf_list(root).read_text(encoding="utf-8").splitlines():
        if not line.strip():
            continue
        file, _, number = line.partition(" ")
        stem = Path(file).stem
        choices = (
            root / "Image" / "aligned" / f"{stem}_aligned.jpg",
            root / "Image" / "original" / file,
        )
        image = next((choice for choice in choices if choice.is_file()), None)
        label = RAFDB[int(number)]
        if image is None or label is None:
            missing += 1
            continue
        part = PARTS.get(stem.partition("_")[0], "")
        pictures.append(Picture(image, label, str(image), part))
    return ExpressionSet("rafdb", root, tuple(pictures), _reasons({"image missing": missing}))


# AffectNet -------------------------------------------------------------------------------------


def _is_affectnet(path: Path) -> bool:
    return any((path / part / "annotations").is_dir() for part in ("train_set", "val_set")) or (
        path.is_dir() and bool(_affectnet_lists(path))
    )


def _affectnet_lists(path: Path) -> list[tuple[Path, Part]]:
    files: tuple[tuple[str, Part], ...] = (("training.csv", "train"), ("validation.csv", "test"))
    return [
        (path / name, part)
        for name, part in files
        if (path / name).is_file() and _header(path / name)[:1] == ["subDirectory_filePath"]
    ]


def _read_affectnet(path: Path) -> ExpressionSet:
    """Read AffectNet; its public validation part is what others test on, so it is the test part."""
    pictures: list[Picture] = []
    lost: Counter[str] = Counter()
    parts: tuple[tuple[str, Part], ...] = (("train_set", "train"), ("val_set", "test"))
    for folder, part in parts:
        for image in sorted((path / folder / "images").glob("*.jpg")):
            note = path / folder / "annotations" / f"{image.stem}_exp.npy"
            if not note.is_file():
                lost["annotation missing"] += 1
            else:
                label = int(np.load(note, allow_pickle=False).item())
                _take_affectnet(image, label, part, pictures, lost)
    for file, part in _affectnet_lists(path):
        for row in _rows(file):
            choices = [
                root / row["subDirectory_filePath"]
                for root in (path, path / "Manually_Annotated_Images")
            ]
            at = next((choice for choice in choices if choice.is_file()), None)
            if at is None:
                lost["image missing"] += 1
            else:
                _take_affectnet(at, int(row["expression"]), part, pictures, lost)
    return ExpressionSet("affectnet", path, tuple(pictures), _reasons(lost))


def _take_affectnet(
    image: Path, label: int, part: Part, pictures: list[Picture], lost: Counter[str]
) -> None:
    if label < len(AFFECTNET):
        pictures.append(Picture(image, AFFECTNET[label], str(image), part))
    else:
        lost["uncertain, or no face"] += 1


# CK+ -------------------------------------------------------------------------------------------


def _is_ckplus(path: Path) -> bool:
    return (path / "Emotion").is_dir() and bool(_ck_images(path))


def _ck_images(path: Path) -> Path | None:
    folders = (path / "cohn-kanade-images", path / "extended-cohn-kanade-images", path / "images")
    return next((folder for folder in folders if folder.is_dir()), None)


def _read_ckplus(path: Path) -> ExpressionSet:
    """Read CK+: of each labelled sequence the last frame, and the first, which is neutral."""
    images = _ck_images(path)
    if images is None:
        raise InputError(f"{path} holds no folder of CK+ images.", _LAYOUTS)
    pictures, missing = [], 0
    for note in sorted((path / "Emotion").glob("*/*/*_emotion.txt")):
        person, sequence = note.parts[-3:-1]
        frames = sorted((images / person / sequence).glob("*.png"))
        if not frames:
            missing += 1
            continue
        label = CKPLUS[round(float(note.read_text(encoding="utf-8")))]
        who = f"ckplus/{person}"
        pictures.append(Picture(frames[-1], label, str(frames[-1]), person=who))
        if len(frames) > 1:
            pictures.append(Picture(frames[0], "neutral", str(frames[0]), person=who))
    lost = {"sequence without images": missing}
    return ExpressionSet("ckplus", path, tuple(pictures), _reasons(lost))


# Common ----------------------------------------------------------------------------------------


def _header(file: Path) -> list[str]:
    with file.open(newline="", encoding="utf-8-sig") as opened:
        return [name.strip() for name in next(csv.reader(opened), [])]


def _rows(file: Path) -> Iterator[dict[str, str]]:
    with file.open(newline="", encoding="utf-8-sig") as opened:
        reader = csv.DictReader(opened, skipinitialspace=True)
        reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        yield from reader


def _reasons(lost: dict[str, int] | Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple((reason, count) for reason, count in lost.items() if count)


KINDS: dict[str, tuple[Callable[[Path], bool], Callable[[Path], ExpressionSet]]] = {
    "ferplus": (_is_ferplus, _read_ferplus),
    "fer2013": (_is_fer2013, _read_fer2013),
    "rafdb": (_is_rafdb, _read_rafdb),
    "affectnet": (_is_affectnet, _read_affectnet),
    "ckplus": (_is_ckplus, _read_ckplus),
    "folders": (_is_folders, _read_folders),
}
"""Kind -> (does a path have its layout, how to read it); the last is the most general."""

_LAYOUTS = (
    f"Known are {', '.join(KINDS)} (class per folder); name one, as in --data rafdb=DIR. "
    "docs/training.md shows each layout."
)

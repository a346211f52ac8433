"""What holds the layout up: import order, one door per library, no dead setting, a light start."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from milmer_cli.settings.describe import doc, known_keys, section_doc
from milmer_cli.settings.schema import Settings

PACKAGE = Path(__file__).parents[1] / "milmer_cli"

# Data flows from top to bottom; a part imports only parts of the lines above its own.
ORDER = [
    {"errors", "progress"},
    {"settings"},
    {"compute", "metrics"},
    {"recordings", "store"},
    {"data", "model", "report"},
    {"training"},
    {"evaluation"},
    {"stages"},
    {"demo"},
    {"cli"},
    {"__main__"},
]

# A library's name -> the only places that may know it.
DOORS = {
    "yaml": ("settings/",),
    "h5py": ("store/",),
    "mne": ("recordings/",),
    "av": (
        "recordings/decoding.py",
        "recordings/video.py",
        "stages/predicting/film.py",
        "demo/",
    ),
    "edfio": ("demo/",),
    "skimage": ("demo/",),
    "face_alignment": ("recordings/",),
    "dlib": ("recordings/",),
    "joblib": ("evaluation/", "stages/", "demo/"),
    "typer": ("cli/",),
    "rich": ("cli/",),
    "matplotlib": ("report/",),
    "jinja2": ("report/",),
    "sklearn": ("metrics", "data/", "training/", "evaluation/"),
}

HEAVY = ["torch", "mne", "transformers", "h5py", "cv2", "sklearn", "matplotlib", "scipy", "av"]


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module imported anywhere in a file, inside functions too, with its line."""
    here = ["milmer_cli", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module, node.lineno
            # ``from milmer_cli import store`` imports a part as well.
            yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=name)
def test_a_part_imports_only_what_stands_before_it(path):
    part = part_of(path)
    if part == "__init__":
        allowed = {"stages"}  # `load_model`, in its body; see the test of a light start below
    else:
        level = next(i for i, parts in enumerate(ORDER) if part in parts)
        allowed = {part}.union(*ORDER[:level])
    known = set().union(*ORDER)
    for module, line in imports(path):
        top, _, rest = module.partition(".")
        target = rest.partition(".")[0]
        if top == "milmer_cli" and target in known:
            assert target in allowed, f"{name(path)}:{line} imports {module}"


def test_every_part_has_its_place_in_the_order():
    parts = {part_of(path) for path in modules()} - {"__init__"}
    assert parts <= set().union(*ORDER)


@pytest.mark.parametrize("library", DOORS)
def test_one_door_per_library(library):
    for path in modules():
        if name(path).startswith(DOORS[library]):
            continue
        for module, line in imports(path):
            assert module.partition(".")[0] != library, f"{name(path)}:{line} imports {module}"


def test_only_the_reader_of_deaps_own_pickles_unpickles():
    harmless = {"pickle", "pickle.UnpicklingError"}
    users = {
        name(path)
        for path in modules()
        if {m for m, _ in imports(path) if m.partition(".")[0] == "pickle"} - harmless
        or any(
            isinstance(node, ast.Attribute) and ast.unparse(node).startswith("pickle.")
            for node in ast.walk(tree(path))
        )
    }
    assert users <= {"recordings/preprocessed.py", "demo/preprocessed.py"}


@pytest.mark.parametrize("key", known_keys())
def test_every_setting_is_documented(key):
    assert doc(key), f"{key} has no text below it in settings/schema.py"
    assert doc(key).endswith("."), key


@pytest.mark.parametrize("section", [key for key in Settings.model_fields if key != "seed"])
def test_every_section_is_documented(section):
    own = vars(Settings.model_fields[section].annotation).get("__doc__")
    assert own, section
    assert section_doc(section).endswith("."), section


@cache
def attributes_read() -> set[str]:
    return {
        node.attr
        for path in modules()
        if part_of(path) != "settings"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


@pytest.mark.parametrize("key", known_keys())
def test_every_setting_is_read_somewhere(key):
    assert key.rpartition(".")[2] in attributes_read(), f"nothing reads {key}"


def test_importing_the_command_line_loads_nothing_heavy():
    code = f"import sys, milmer_cli.cli.app; print([m for m in {HEAVY} if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert loaded == "[]\n"

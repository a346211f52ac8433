"""The architecture: import order, one place per library, used settings, fast start."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from helpers import run_python
from milmer_cli.settings.docs import property_schemas, section_doc, setting_doc
from milmer_cli.settings.schema import Settings

PACKAGE = Path(__file__).parents[1] / "milmer_cli"

# A package imports only packages of the lines above its own, not those of its own line.
ORDER = [
    {"errors", "progress", "process_end"},
    {"csv_cells", "input_files", "partial_files", "stage_result"},
    {"images"},
    {"io", "parallel", "arrays", "run_log"},
    {"json_files"},
    {"digests"},
    {"folder_lock", "formats", "integrity", "references"},
    {"settings"},
    {"device", "metrics"},
    {"eeg", "video"},
    {"faces"},
    {"datasets", "weights"},
    {"preprocessing", "store"},
    {"models"},
    {"auto_classes", "data"},
    {"inference"},
    {"bundle"},
    {"training"},
    {"fer"},
    {"audit", "evaluation", "inspection", "prediction", "preparation"},
    {"reports"},
    {"stages"},
    {"cli"},
    {"__main__"},
]

# Library -> the only places that may import it.
DOORS = {
    "pydantic": ("settings/", "datasets/synthetic/"),
    "yaml": ("settings/",),
    "pandas": ("store/",),
    "h5py": ("store/", "eeg/mat_process.py", "datasets/synthetic/"),
    "filelock": ("folder_lock.py", "preparation/", "weights/"),
    "pooch": ("weights/",),
    "requests": ("weights/",),
    "mne": ("eeg/", "datasets/deap/"),
    "mne_bids": ("datasets/bids/writer.py",),
    "mne_icalabel": ("eeg/",),
    "av": ("video/", "datasets/synthetic/", "reports/annotated_video.py"),
    "edfio": ("datasets/synthetic/",),
    "skimage": ("datasets/synthetic/",),
    "face_alignment": ("faces/",),
    "dlib": ("faces/",),
    "transformers": ("models/", "training/", "fer/"),
    "onnxruntime": ("bundle/onnx_export.py",),
    "openvino": ("models/openvino_backbone.py",),
    "accelerate": ("inference/", "training/", "stages/"),
    "safetensors": ("models/", "training/"),
    "joblib": ("parallel.py", "datasets/synthetic/", "evaluation/", "preparation/", "stages/"),
    "distributed": ("preparation/",),
    "pyriemann": ("evaluation/",),
    "sklearn": ("metrics/", "fer/", "evaluation/"),
    "matplotlib": ("reports/",),
    "jinja2": ("reports/",),
    "rich": ("cli/",),
    "typer": ("cli/",),
}

HEAVY = ["torch", "mne", "transformers", "h5py", "cv2", "sklearn", "matplotlib", "scipy", "av"]


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def package_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every imported module with its line, also of imports inside functions."""
    parents = ["milmer_cli", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module, node.lineno
            # `from milmer_cli import store` imports a package too.
            yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)


def allowed_imports(package: str) -> set[str]:
    if package == "__init__":
        return {"auto_classes", "models", "stages"}  # the last two within functions
    level = next(i for i, packages in enumerate(ORDER) if package in packages)
    return set().union({package}, *ORDER[:level])


@pytest.mark.parametrize("path", modules(), ids=name)
def test_package_imports_only_packages_above_it(path):
    allowed = allowed_imports(package_of(path))
    known = set().union(*ORDER)
    for module, line in imports(path):
        top, _, rest = module.partition(".")
        target = rest.partition(".")[0]
        if top == "milmer_cli" and target in known:
            assert target in allowed, f"{name(path)}:{line} imports {module}"


def test_contributing_states_the_order_and_lists_every_package():
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    stated = re.search(r"`(errors, progress.*? \| cli)`", text, re.DOTALL)
    assert stated is not None
    lines = [{*re.findall(r"\w+", line)} for line in stated[1].split("|")]
    assert lines == [packages for packages in ORDER if packages != {"__main__"}]
    listed = re.search(r"```text\nmilmer_cli/\n(.*?)```", text, re.DOTALL)
    assert listed is not None
    heads = [re.split(r"\s{3,}", line.strip())[0] for line in listed[1].splitlines()]
    names = {re.sub(r"\.py$|/$", "", name) for head in heads for name in head.split()}
    assert names == set().union(*ORDER) - {"__main__"} | {"site"}


def test_every_package_has_a_place_in_the_order():
    assert {package_of(path) for path in modules()} - {"__init__"} == set().union(*ORDER)


@pytest.mark.parametrize("library", DOORS)
def test_library_is_imported_only_in_its_place(library):
    for path in modules():
        if name(path).startswith(DOORS[library]):
            continue
        for module, line in imports(path):
            assert module.partition(".")[0] != library, f"{name(path)}:{line} imports {module}"


DOWNLOADERS = {
    "http.client",
    "huggingface_hub.hf_hub_download",
    "huggingface_hub.snapshot_download",
    "torch.hub.download_url_to_file",
    "torch.hub.load",
    "torch.hub.load_state_dict_from_url",
    "transformers.utils.cached_file",
    "urllib.request",
}


def test_only_weights_downloads():
    for path in modules():
        if package_of(path) == "weights":
            continue
        calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
        names = {module for module, _ in imports(path)} | {ast.unparse(c.func) for c in calls}
        assert not names & DOWNLOADERS, name(path)
        for call in calls:
            if ast.unparse(call.func).endswith(".from_pretrained"):
                local = any(
                    word.arg == "local_files_only" and ast.unparse(word.value) == "True"
                    for word in call.keywords
                )
                nothing = [ast.unparse(a) for a in call.args] == ["None"]  # weights are tensors
                assert local or nothing, f"{name(path)}:{call.lineno} may download"


def test_only_the_reader_of_deap_unpickles():
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
    assert users <= {"datasets/deap/array_pickle.py", "datasets/synthetic/preprocessed_writer.py"}


@pytest.mark.parametrize("key", property_schemas())
def test_every_setting_is_documented(key):
    assert setting_doc(key), f"{key} has no docstring in settings/schema.py"
    assert setting_doc(key).endswith("."), key


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
        if package_of(path) != "settings"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


@pytest.mark.parametrize("key", property_schemas())
def test_every_setting_is_used(key):
    assert key.rpartition(".")[2] in attributes_read(), f"no code reads {key}"


HELP = "from milmer_cli.cli.app import run; run(['--help'])"
ALL_COMMANDS = (
    "from milmer_cli.cli.app import COMMANDS, _load_command; [_load_command(n) for n in COMMANDS]"
)


@pytest.mark.parametrize(
    ("code", "slow"),
    [(HELP, [*HEAVY, "numpy", "pydantic", "yaml"]), (ALL_COMMANDS, HEAVY)],
    ids=["help", "all commands"],
)
def test_command_line_imports_nothing_slow(code, slow):
    done = run_python("-c", f"{code}\nimport sys\nprint([m for m in {slow} if m in sys.modules])")
    assert done.stdout.splitlines()[-1] == "[]", done.stderr

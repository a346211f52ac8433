"""The early check of a backbone agrees with loading its configuration."""

from __future__ import annotations

import json

import pytest

from milmer_cli.errors import MilmerError
from milmer_cli.models.backbones import backbone_config
from milmer_cli.weights.local_backbones import SCRATCH, require_backbone


def outcome(function, *arguments):
    """The text of the error, or empty."""
    try:
        function(*arguments)
    except MilmerError as error:
        return str(error)
    return ""


def write_config(folder, **values):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(values))
    return str(folder)


@pytest.mark.parametrize("name", [*SCRATCH, "scratch:huge", "nobody/nothing", "a/b/c", "model.bin"])
@pytest.mark.parametrize("size", [0, 64, 192, 224])
def test_require_backbone_refuses_what_loading_refuses(name, size):
    assert outcome(require_backbone, name, size) == outcome(backbone_config, name, size)


@pytest.mark.parametrize("size", [0, 32, 64, 224])
def test_require_backbone_reads_the_windows_of_a_folder(tmp_path, size):
    for number, values in enumerate(
        (
            {"model_type": "swin", "depths": [1, 1], "num_heads": [1, 2], "embed_dim": 8},
            {"model_type": "swin", "window_size": 2, "image_size": 64},
            {"model_type": "swin"},
        )
    ):
        folder = write_config(tmp_path / str(number), **values)
        assert outcome(require_backbone, folder, size) == outcome(backbone_config, folder, size)


def test_require_backbone_leaves_damaged_files_to_loading(tmp_path):
    for number, values in enumerate(({"model_type": "swin", "depths": 3}, {"model_type": 7})):
        require_backbone(write_config(tmp_path / str(number), **values), 64)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.json").write_text("{")
    require_backbone(str(tmp_path / "damaged"), 64)
    missing = tmp_path / "empty"
    missing.mkdir()
    assert "has no config.json" in outcome(require_backbone, str(missing))

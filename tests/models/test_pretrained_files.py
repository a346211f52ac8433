"""Files of a model folder never select code, and each damaged one gives one sentence."""

from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import SwinConfig, SwinForImageClassification, SwinModel

from milmer_cli.errors import InputError, WeightsError
from milmer_cli.models import MilmerConfig, MilmerModel, build_model, load_backbone
from milmer_cli.models.backbones import load_weights
from milmer_cli.models.pretrained_files import known_config, read_config, read_tensors, read_weights
from milmer_cli.settings import load_settings

CODE = "import pathlib\npathlib.Path({marker!r}).write_text('ran')\n"
HTML = b"<!DOCTYPE html><html><body>404 Not Found</body></html>" * 20


@pytest.fixture
def swin(tmp_path: Path, tiny_swin: SwinConfig) -> Path:
    SwinModel(tiny_swin).save_pretrained(tmp_path / "swin")
    return tmp_path / "swin"


def change_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def one_sentence(error: InputError) -> bool:
    return "\n" not in str(error) and "weights_only" not in str(error)


@pytest.mark.parametrize("model_type", ["my_swin", None, 3, ["swin"], "timm_wrapper"])
def test_load_backbone_never_runs_code_of_the_folder(
    swin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_type: Any
) -> None:
    marker = tmp_path / "marker"
    (swin / "evil.py").write_text(CODE.format(marker=str(marker)))
    auto_map = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}
    change_config(swin, model_type=model_type, auto_map=auto_map)
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("the program asked"))
    with pytest.raises(WeightsError, match="expected a model type") as caught:
        load_backbone(swin)
    assert one_sentence(caught.value)
    assert not marker.exists()


def test_read_config_ignores_keys_that_select_code(swin: Path) -> None:
    change_config(
        swin,
        auto_map={"AutoModel": "evil.Model"},
        attn_implementation="somebody/kernel",
        _attn_implementation="somebody/kernel",
        _attn_implementation_internal="somebody/kernel",
        experts_implementation="somebody/kernel",
        transformers_weights="../other.bin",
        fusion_config={"x": 1},
        anything=1,
    )
    config = read_config(swin)
    plain = SwinConfig()
    for key in ("auto_map", "transformers_weights", "fusion_config", "anything"):
        assert not hasattr(config, key)
    assert config._attn_implementation == plain._attn_implementation
    assert load_backbone(swin).config._attn_implementation != "somebody/kernel"


def test_known_config_ignores_unsafe_keys_of_nested_configurations(tiny_swin: SwinConfig) -> None:
    unsafe = {"_attn_implementation": "a/b", "auto_map": {"AutoConfig": "evil.C"}, "extra": 1}
    values = MilmerConfig(tiny_swin, num_instances=4, num_heads=1).to_dict()
    values["backbone_config"] |= unsafe
    config = known_config(values | unsafe, "config.json")
    assert isinstance(config, MilmerConfig)
    assert config.backbone_config._attn_implementation != "a/b"
    assert not hasattr(config.backbone_config, "extra")
    assert not hasattr(config, "extra")
    values["backbone_config"]["model_type"] = "my_swin"
    for call in (lambda: known_config(values, "here"), lambda: MilmerConfig(**values)):
        with pytest.raises(WeightsError, match="'my_swin'"):
            call()


@pytest.mark.parametrize("place", ["top", "nested"])
def test_known_config_rejects_quantized_weights(tiny_swin: SwinConfig, place: str) -> None:
    values = MilmerConfig(tiny_swin, num_instances=4, num_heads=1).to_dict()
    target = values if place == "top" else values["backbone_config"]
    target["quantization_config"] = {"quant_method": "bitsandbytes"}
    with pytest.raises(WeightsError, match="quantized"):
        known_config(values, "config.json")


@pytest.mark.parametrize(
    "values",
    [
        {"model_type": "swin", "depths": [1, 2**32]},
        {"model_type": "vit", "num_hidden_layers": 1001},
        {"model_type": "efficientnet", "num_block_repeats": [1, 10**9]},
        {"model_type": "milmer", "num_layers": 10**9},
        {"model_type": "milmer", "backbone_config": {"model_type": "swin", "depths": [1000, 1]}},
    ],
    ids=lambda values: " ".join(values),
)
def test_known_config_rejects_more_layers_than_can_be_built(values: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match=r"config.json: expected at most 1,000 .* in ") as error:
        known_config(values, "config.json")
    assert one_sentence(error.value)


def test_load_backbone_refuses_a_model_much_larger_than_its_weights(swin: Path) -> None:
    change_config(swin, mlp_ratio=2**32)  # more memory than any machine has
    with pytest.raises(WeightsError, match=r"contains .* numbers, expected about .* by its config"):
        load_backbone(swin)


def test_load_backbone_draws_no_random_numbers(swin: Path) -> None:
    before = torch.get_rng_state()
    load_backbone(swin)
    assert torch.equal(torch.get_rng_state(), before)


def test_load_weights_of_a_run_ignores_keys_that_select_code(
    tmp_path: Path, tiny_swin: SwinConfig
) -> None:
    model = MilmerModel(MilmerConfig(tiny_swin, num_instances=4, num_heads=1))
    model.save_pretrained(tmp_path)
    change_config(tmp_path, _attn_implementation="a/b", auto_map={"AutoModel": "evil.Model"})
    loaded = load_weights(MilmerModel, tmp_path)
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


class Evil:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_load_backbone_never_unpickles_objects(swin: Path, tmp_path: Path, zipped: bool) -> None:
    (swin / "model.safetensors").unlink()
    state = {"layernorm.weight": torch.ones(16), "evil": Evil(tmp_path / "ran")}
    torch.save(state, swin / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match="never loaded") as caught:
        load_backbone(swin)
    assert one_sentence(caught.value)
    (swin / "pytorch_model.bin").write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    with pytest.raises(WeightsError, match="never loaded"):
        load_backbone(swin)
    assert not (tmp_path / "ran").exists()


def test_load_backbone_reads_tensors_of_torch_save(swin: Path) -> None:
    expected = load_backbone(swin).state_dict()
    torch.save(read_weights(swin), swin / "pytorch_model.bin")
    (swin / "model.safetensors").unlink()
    loaded = load_backbone(swin).state_dict()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[name], value) for name, value in expected.items())


def test_read_weights_of_several_files(swin: Path, tmp_path: Path) -> None:
    state = read_weights(swin)
    (swin / "model.safetensors").unlink()
    weight_map = {name: f"part-{number % 2}.safetensors" for number, name in enumerate(state)}
    for part in sorted(set(weight_map.values())):
        save_file({name: state[name] for name in state if weight_map[name] == part}, swin / part)
    index = swin / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    assert read_weights(swin).keys() == state.keys()
    for name in ("../x.safetensors", str(tmp_path / "x.safetensors"), "x.bin", 3):
        index.write_text(json.dumps({"weight_map": {"a": name}}))
        with pytest.raises(WeightsError, match="of the same folder"):
            read_weights(swin)
    index.write_text("[]")
    with pytest.raises(WeightsError, match="is damaged"):
        read_weights(swin)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", HTML),
        ("config.json", b"[]"),
        ("config.json", b"[" * 100_000),
        ("config.json", b'{"model_type": "swin", "embed_dim": "many"}'),
        ("config.json", b'{"model_type": "swin", "patch_size": 0}'),
        ("config.json", b'{"model_type": "swin", "depths": []}'),
        ("model.safetensors", HTML),
        ("model.safetensors", b""),
        ("preprocessor_config.json", b"[1]"),
        ("preprocessor_config.json", b'{"image_mean": [3, 3]}'),
        ("preprocessor_config.json", b'{"image_mean": ["a", "b", "c"], "image_std": [1, 1, 1]}'),
        (
            "preprocessor_config.json",
            b'{"do_normalize": false, "size": {"height": "x"}}',
        ),
    ],
)
def test_load_backbone_of_a_damaged_file_gives_one_sentence(
    swin: Path, file: str, content: bytes
) -> None:
    (swin / file).write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_backbone(swin)
    assert one_sentence(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "preprocessor_config.json"])
def test_load_backbone_never_opens_a_named_pipe(swin: Path, file: str) -> None:
    (swin / file).unlink(missing_ok=True)
    os.mkfifo(swin / file)
    with pytest.raises(InputError, match="is a named pipe"):
        load_backbone(swin)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing", "neither a folder nor in the cache"),
        ("./missing", "does not exist"),
        ("../missing", "does not exist"),
        ("~/missing", "does not exist"),
        ("~nobody/missing", "does not exist"),
        ("/missing/swin", "does not exist"),
        ("missing.pth", "does not exist"),
        ("a/b/c", "does not exist"),
        ("", "does not exist"),
        ("x" * 5000, "does not exist"),
        ("null\0byte", "does not exist"),
        ("weights.pth", "is a file: expected a folder"),
        ("./page.html", "is a file: expected a folder"),
        ("owner/missing", "neither a folder nor in the cache"),
    ],
)
@pytest.mark.parametrize("modalities", ["both", "eeg"])
def test_build_model_of_a_wrong_path_gives_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str, modalities: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.pth").write_bytes(pickle.dumps({}))
    (tmp_path / "page.html").write_bytes(HTML)
    with pytest.raises(WeightsError, match=reason) as caught:
        load_backbone(name)
    assert one_sentence(caught.value)
    assert caught.value.hint
    if modalities == "eeg":  # the backbone is not used
        model = load_settings(overrides=["model.modalities=eeg"]).model
        build_model(model.model_copy(update={"backbone": name}), ("a", "b"))


def test_load_backbone_expands_the_home_folder(swin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(swin.parent))
    assert load_backbone("~/swin").config.model_type == "swin"


def test_load_backbone_of_one_channel_gives_one_sentence(
    tmp_path: Path, tiny_swin: SwinConfig
) -> None:
    tiny_swin.num_channels = 1
    SwinForImageClassification(tiny_swin).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="cannot be the backbone") as caught:
        load_backbone(tmp_path)
    assert one_sentence(caught.value)


def test_read_tensors_of_a_zip_file_that_spans_disks(tmp_path):
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 2)
    (tmp_path / "weights.pth").write_bytes(locator + b"PK\x05\x06" + bytes(18))
    with pytest.raises(WeightsError, match="is not a state dict of tensors"):
        read_tensors(tmp_path / "weights.pth")

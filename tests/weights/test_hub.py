"""Backbones are downloaded into the cache of the Hugging Face Hub, and loaded from it only."""

from __future__ import annotations

import json
import threading

import pytest
import torch
from transformers import SwinModel

from helpers import RecordingProgress
from milmer_cli.errors import WeightsError
from milmer_cli.models.backbones import load_backbone
from milmer_cli.models.image_processor import load_image_processor
from milmer_cli.weights.hub import cached_files, fetch_backbone, model_files
from milmer_cli.weights.result import Weights

REPOSITORY = "somebody/some-swin"
WEIGHTS = f"/{REPOSITORY}/resolve/main/model.safetensors"


def states(verify=True):
    return {file.path.name: file.state for file in cached_files(REPOSITORY, verify)}


def test_fetch_backbone_is_loaded_from_the_cache(hub, publish, swin_folder):
    publish(swin_folder)
    with pytest.raises(WeightsError, match="neither a folder nor in the cache") as caught:
        load_backbone(REPOSITORY)
    assert f"`milmer weights fetch {REPOSITORY}`" in caught.value.hint
    assert hub.requests == []
    progress = RecordingProgress()

    fetch_backbone(REPOSITORY, progress=progress)

    requested = len(hub.requests)
    loaded, expected = load_backbone(REPOSITORY), load_backbone(swin_folder)
    for name, value in expected.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    assert len(hub.requests) == requested
    assert set(states().values()) == {"verified"}
    assert states().keys() == {"config.json", "preprocessor_config.json", "model.safetensors"}
    assert len(progress.totals) == 1  # one large file


def test_fetch_backbone_with_the_image_processor_of_a_processor(hub, publish, swin_folder):
    (swin_folder / "preprocessor_config.json").unlink()
    values = {"image_mean": [0.1] * 3, "image_std": [0.2] * 3, "size": 32}
    document = json.dumps({"image_processor": values, "processor_class": "SomeProcessor"})
    (swin_folder / "processor_config.json").write_text(document)
    publish(swin_folder)

    fetch_backbone(REPOSITORY)

    assert states()["processor_config.json"] == "verified"
    assert load_image_processor(REPOSITORY).mean == (0.1, 0.1, 0.1)


def test_fetch_backbone_checks_the_sha256_of_the_hub(hub, publish, swin_folder):
    publish(swin_folder)
    hub.files[WEIGHTS] = hub.files[WEIGHTS][:-1] + b"x"

    with pytest.raises(WeightsError, match=r"given by the Hugging Face Hub.*the file was removed"):
        fetch_backbone(REPOSITORY)
    assert "model.safetensors" not in states()


def test_fetch_backbone_continues_a_partial_file(hub, publish, swin_folder):
    size = 2**16
    (swin_folder / "model.safetensors").write_bytes(b"weights" * 2**15)  # 4 packets
    publish(swin_folder)
    requests = f"/api/models/{REPOSITORY}"
    document = hub.files[requests]
    # metadata, configuration (HEAD, GET) and preprocessor are complete; the weights break
    hub.break_after = [len(document), 10**6, 10**6, size, 0]
    with pytest.raises(WeightsError, match=r"the connection broke after 0\.1 MB"):
        fetch_backbone(REPOSITORY)
    hub.requests.clear()
    hub.break_after = []

    fetch_backbone(REPOSITORY)

    assert (WEIGHTS, f"bytes={size}-") in hub.gets()
    assert (WEIGHTS, "") not in hub.gets()
    assert set(states().values()) == {"verified"}


def test_fetch_backbone_again_downloads_only_damaged_files(hub, publish, swin_folder):
    publish(swin_folder)
    fetch_backbone(REPOSITORY)
    hub.requests.clear()
    fetch_backbone(REPOSITORY)
    assert [path for path, _ in hub.gets()] == [f"/api/models/{REPOSITORY}"]

    [weights] = [file.path for file in cached_files(REPOSITORY, False) if "model" in file.path.name]
    weights.resolve().write_bytes(b"damaged")
    assert states()["model.safetensors"] == "damaged"
    assert states(verify=False)["model.safetensors"] == "present"
    fetch_backbone(REPOSITORY)
    assert states()["model.safetensors"] == "verified"


@pytest.mark.parametrize("verify", [False, True])
def test_cached_files_of_a_dangling_link_is_missing(hub, publish, swin_folder, verify):
    publish(swin_folder)
    fetch_backbone(REPOSITORY)
    [weights] = [file.path for file in cached_files(REPOSITORY, False) if "model" in file.path.name]
    weights.resolve().unlink()

    assert states(verify)["model.safetensors"] == "missing"
    backbone = Weights(REPOSITORY, "backbone", cached_files(REPOSITORY, verify))
    assert backbone.state == "missing"
    assert str(weights) in backbone.describe()
    fetch_backbone(REPOSITORY)
    assert states()["model.safetensors"] == "verified"


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
@pytest.mark.parametrize("with_index", [False, True])
def test_cached_files_lists_missing_shards(hub, publish, swin_folder, suffix, with_index, verify):
    stem = {"safetensors": "model", "bin": "pytorch_model"}[suffix]
    (swin_folder / "model.safetensors").unlink()
    shards = [f"{stem}-{number:05}-of-00003.{suffix}" for number in (1, 2, 3)]
    (swin_folder / shards[0]).write_bytes(b"weights")
    if with_index:
        index = {"weight_map": {"a": shards[0], "b": shards[1], "c": shards[2]}}
        (swin_folder / f"{stem}.{suffix}.index.json").write_text(json.dumps(index))
    publish(swin_folder)
    fetch_backbone(REPOSITORY)

    found = states(verify)

    assert found[shards[0]] == ("verified" if verify else "present")
    assert [found[name] for name in shards[1:]] == ["missing", "missing"]


@pytest.mark.parametrize("content", ["[]", '{"weight_map": [1]}', '{"weight_map": {"a": 3}}', "{"])
def test_cached_files_with_a_damaged_index(hub, publish, swin_folder, content):
    (swin_folder / "model.safetensors.index.json").write_text(content)
    publish(swin_folder)
    fetch_backbone(REPOSITORY)
    assert set(states().values()) == {"verified"}


def test_cached_files_notices_a_damaged_configuration(hub, publish, swin_folder):
    publish(swin_folder)
    fetch_backbone(REPOSITORY)
    [config] = [file.path for file in cached_files(REPOSITORY, False) if file.path.stem == "config"]
    config.resolve().write_text("{}")
    assert states()["config.json"] == "damaged"


def test_fetch_backbone_from_a_mirror_without_the_access_token(
    hub, publish, swin_folder, monkeypatch
):
    publish(swin_folder)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://hub.example")
    template = "https://hub.example/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")

    fetch_backbone(REPOSITORY, mirror=hub.url)

    assert set(states().values()) == {"verified"}
    assert hub.authorizations == {""}


def test_fetch_backbone_from_the_hub_with_the_access_token(hub, publish, swin_folder, monkeypatch):
    publish(swin_folder)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")

    fetch_backbone(REPOSITORY)

    assert hub.authorizations == {"Bearer hf_secret"}


def test_fetch_backbone_without_a_connection_is_one_sentence(hub, monkeypatch, free_port):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{free_port}")
    with pytest.raises(WeightsError, match=r"cannot be downloaded from .*refused") as caught:
        fetch_backbone(REPOSITORY)
    assert "\n" not in str(caught.value)


def test_fetch_backbone_of_an_unknown_name(hub):
    with pytest.raises(WeightsError, match="somebody/some-swin") as caught:
        fetch_backbone(REPOSITORY)
    assert "\n" not in str(caught.value)


def test_fetch_backbone_offline(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set"):
        fetch_backbone(REPOSITORY)


def test_load_backbone_never_asks_the_hub_for_another_format(
    hub, publish, swin_folder, monkeypatch
):
    # transformers converts repositories without safetensors in a thread, by way of the Hub
    monkeypatch.setattr("transformers.modeling_utils.is_offline_mode", lambda: False)
    model = SwinModel.from_pretrained(swin_folder)
    torch.save(model.state_dict(), swin_folder / "pytorch_model.bin")
    (swin_folder / "model.safetensors").unlink()
    publish(swin_folder)
    fetch_backbone(REPOSITORY)
    hub.requests.clear()

    load_backbone(REPOSITORY)

    for thread in threading.enumerate():
        if "auto_conversion" in thread.name:
            thread.join()
    assert hub.requests == []


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["model.safetensors", "pytorch_model.bin", "README.md"], ["model.safetensors"]),
        (["pytorch_model.bin", "tf_model.h5"], ["pytorch_model.bin"]),
        (
            ["model-00001-of-00002.safetensors", "model.safetensors.index.json", "vocab.json"],
            ["model-00001-of-00002.safetensors", "model.safetensors.index.json"],
        ),
        (["README.md"], []),
    ],
)
def test_model_files(names, expected):
    assert model_files(["config.json", *names]) == ["config.json", *expected]

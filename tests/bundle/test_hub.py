from __future__ import annotations

import json

import numpy as np
import pytest

from milmer_cli import load_model
from milmer_cli.bundle.document import FILES
from milmer_cli.bundle.resolve import open_bundle
from milmer_cli.errors import InputError, MilmerError
from milmer_cli.stages.export import push

# huggingface_hub passes a file in a form that its HTTP library deprecates
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")
REPOSITORY = "somebody/emotion"


def test_pushed_model_is_private_and_predicts_the_same_from_the_hub(
    hub, untrained_run, recording_files, monkeypatch
):
    result = push(untrained_run, REPOSITORY)
    assert hub.private == {REPOSITORY: True}
    assert list(hub.commits[REPOSITORY]) == [result.commit]
    uploaded = hub.commits[REPOSITORY][result.commit]
    assert uploaded == {
        path.name: path.read_bytes() for path in (untrained_run / "model").iterdir()
    }
    assert dict(result.files) == {name: len(content) for name, content in uploaded.items()}

    eeg = recording_files / "cap.edf"
    expected = load_model(untrained_run).predict(eeg=eeg, duration_s=6.0)
    found = load_model(f"hf:{REPOSITORY}").predict(eeg=eeg, duration_s=6.0)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, rtol=0, atol=1e-6)
    name = f"hf:{REPOSITORY}@{result.commit}"
    assert found.to_json()["request"]["model"] == name

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    requested = len(hub.requests)
    assert open_bundle(f"hf:{REPOSITORY}").name == name
    assert open_bundle(name).weights_digest == result.weights_sha256
    assert len(hub.requests) == requested


def test_hub_files_of_other_names_are_not_downloaded(hub, untrained_run):
    files = {path.name: path.read_bytes() for path in (untrained_run / "model").iterdir()}
    harmful = {"modeling.py": b"raise SystemExit", "pytorch_model.bin": b"pickle"}
    commit = hub.commit(REPOSITORY, files | harmful)
    hub.commit(REPOSITORY, {"README.md": b"A later commit without a model."})

    bundle = open_bundle(f"hf:{REPOSITORY}@{commit}")

    assert {path.name for path in bundle.path.iterdir()} == set(files) <= set(FILES)
    with pytest.raises(InputError, match=r"is not a bundle: it has no bundle\.json"):
        open_bundle(f"hf:{REPOSITORY}")


def test_dry_run_lists_the_files_without_the_network(hub, untrained_run):
    result = push(untrained_run, REPOSITORY, dry_run=True)
    assert hub.requests == []
    assert (result.commit, result.public) == ("", False)
    assert set(result.files) == {path.name for path in (untrained_run / "model").iterdir()}
    assert "nothing was uploaded" in dict(result.summary())["repository"]
    json.dumps(result.to_json())


def test_push_publishes_only_on_request(hub, untrained_run):
    push(untrained_run, REPOSITORY, public=True)
    assert hub.private == {REPOSITORY: False}
    commits = len(hub.commits[REPOSITORY])
    with pytest.raises(InputError, match="exists and is public") as caught:
        push(untrained_run, REPOSITORY)
    assert "--public" in caught.value.hint
    assert len(hub.commits[REPOSITORY]) == commits


@pytest.mark.parametrize(
    ("change", "error", "message", "hint"),
    [
        ({"login": False}, InputError, "no access token was found", "hf auth login"),
        ({"token": "hf_other"}, InputError, "does not accept the access token", "hf auth login"),
        ({"refuse": 403}, InputError, "has no permission to write", "Use your own user name"),
        ({"refuse": 500}, MilmerError, "cannot be uploaded to", "run the same command again"),
        ({"url": "http://127.0.0.1:9"}, MilmerError, "cannot be uploaded to", "connection"),
    ],
    ids=["login", "token", "permission", "server", "network"],
)
def test_push_reports_errors_in_one_sentence(
    hub, untrained_run, monkeypatch, change, error, message, hint
):
    hub.token = change.get("token", hub.token)
    hub.refuse = change.get("refuse", 0)
    if not change.get("login", True):
        monkeypatch.delenv("HF_TOKEN")
    if "url" in change:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", change["url"])
    with pytest.raises(error, match=message) as caught:
        push(untrained_run, REPOSITORY)
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message
    assert hub.commits == {}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("hf:somebody", r"expected hf:USER/NAME\[@REVISION\]"),
        ("hf:../../etc", r"expected hf:USER/NAME\[@REVISION\]"),
        ("hf:somebody/nothing", r"has no model somebody/nothing, or it is private"),
        (f"hf:{REPOSITORY}@v9", f"{REPOSITORY} on .* has no revision v9"),
        (f"hf:{REPOSITORY}@", "expected a branch, a tag or a commit after @"),
        (f"hf:{REPOSITORY}@a/../../b", "expected a branch, a tag or a commit after @"),
        (f"hf:{REPOSITORY}@-x", "expected a branch, a tag or a commit after @"),
    ],
)
def test_models_that_the_hub_does_not_have(hub, source, message):
    hub.commit(REPOSITORY, {"README.md": b""})
    with pytest.raises(InputError, match=message) as caught:
        open_bundle(source)
    assert caught.value.hint


def test_models_without_a_connection_and_a_cache(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match="is not in the cache and cannot be downloaded"):
        open_bundle(f"hf:{REPOSITORY}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="HF_HUB_OFFLINE is set"):
        open_bundle(f"hf:{REPOSITORY}")


@pytest.mark.parametrize("name", ["somebody", "a/b/c", "../x", "some body/x"])
def test_push_requires_the_name_of_a_repository(hub, untrained_run, name):
    with pytest.raises(InputError, match="expected USER/NAME"):
        push(untrained_run, name)
    assert hub.requests == []

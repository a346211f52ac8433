from __future__ import annotations

import json

import pytest

from milmer_cli.bundle.sources import UsedTrial, sources_from_json, sources_to_json
from milmer_cli.errors import InputError
from milmer_cli.store.sources import TrialSource


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"trials": 3}', '{"trials": [3]}', '{"trials": [{"trial": 1}]}',
                '{"trials": [{"trial": 1, "sets": [], "eeg": [], "x": 1}]}',
                '{"trials": [{"trial": 1e999, "sets": [], "eeg": [], "duration_s": 1}]}',
                '{"trials": [{"trial": 1, "sets": "test", "eeg": [], "duration_s": 1}]}',
                '{"trials": [{"trial": 1, "sets": [], "eeg": [], "duration_s": "long"}]}',
                '{"trials": [{"trial": 1, "sets": [], "eeg": [], "duration_s": NaN}]}',
                '{"trials": [{"trial": 1, "sets": [], "eeg": [], "duration_s": 1, "video": 3}]}'],
)  # fmt: skip
def test_sources_from_json_rejects_a_damaged_document(content):
    with pytest.raises(InputError, match=r"sources\.json is damaged") as caught:
        sources_from_json(json.loads(content), "sources.json", "Train again.")
    assert "Train again" in caught.value.hint


def test_sources_are_restored_in_an_order_that_does_not_depend_on_participants():
    used = [
        UsedTrial(trial, ("test",), TrialSource(3.0, (digest,), 1.5, "", 0.0))
        for digest, trial in (("b", 2), ("a", 1), ("c", 1))
    ]
    document = json.loads(json.dumps(sources_to_json(used)))
    restored = sources_from_json(document, "sources.json", "")
    assert restored == [used[1], used[0], used[2]]

from __future__ import annotations

import pytest

from milmer_cli.prediction.result import side_of_class


@pytest.mark.parametrize(
    ("label", "sides"),
    [
        ("HAHV", ("high", "high")),
        ("LAHV", ("high", "low")),
        ("LALV", ("low", "low")),
        ("HALV", ("low", "high")),
        ("low valence", ("low", "")),
        ("high arousal", ("", "high")),
        ("amused", ("", "")),
        ("", ("", "")),
    ],
)
def test_side_of_class(label, sides):
    assert (side_of_class(label, "valence"), side_of_class(label, "arousal")) == sides

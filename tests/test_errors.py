"""Parts of messages."""

from __future__ import annotations

import pytest

from milmer_cli import errors


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["a", "b"], "a, b"), (["a", "", "c", "d"], "a, (no name) and 2 more")],
)
def test_shorten_counts_what_it_leaves_out(names, text):
    assert errors.shorten(names, most=2) == text

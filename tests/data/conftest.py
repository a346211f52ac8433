from __future__ import annotations

import pytest

from helpers import label_segments


@pytest.fixture(scope="session")
def make_labeled():
    return label_segments

from __future__ import annotations

import pytest

from milmer_cli.errors import InputError
from milmer_cli.training.sources import read_sources


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"trials": 3}', '{"trials": [3]}', '{"trials": [{"trial": 1}]}',
                '{"trials": [{"participant": "a", "trial": 1, "sets": [], "eeg": [], "x": 1}]}'],
)  # fmt: skip
def test_read_sources_rejects_a_damaged_file(tmp_path, content):
    path = tmp_path / "sources.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"sources\.json is damaged") as caught:
        read_sources(path)
    assert "Train again" in caught.value.hint

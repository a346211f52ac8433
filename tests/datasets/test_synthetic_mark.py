from __future__ import annotations

import json

import pytest

from milmer_cli.datasets.synthetic import SyntheticConfig
from milmer_cli.datasets.synthetic.config import write_truth
from milmer_cli.datasets.synthetic.listed.generate import plan_listed
from milmer_cli.datasets.synthetic.listed.truth import DEFAULT_SIZES, write_listed_truth
from milmer_cli.datasets.synthetic.schedule import draw_truth
from milmer_cli.datasets.synthetic_mark import is_synthetic


def test_files_below_the_ground_truth_are_synthetic(tmp_path):
    file = tmp_path / "data" / "data_original" / "s01.bdf"
    assert not is_synthetic(file)
    write_truth(tmp_path / "data" / "truth.json", draw_truth(SyntheticConfig()))
    assert is_synthetic(file)
    assert not is_synthetic(tmp_path / "other" / "s01.bdf")


@pytest.mark.parametrize("name", DEFAULT_SIZES)
def test_files_of_each_listed_data_set_are_synthetic(tmp_path, name):
    write_listed_truth(tmp_path / "truth.json", plan_listed(DEFAULT_SIZES[name]))
    assert is_synthetic(tmp_path / "a" / "b" / "recording.edf")


@pytest.mark.parametrize("content", ["", "[]", json.dumps({"spec": 1}), '{"participants": []}'])
def test_files_below_another_file_of_this_name_are_not(tmp_path, content):
    (tmp_path / "truth.json").write_text(content)
    assert not is_synthetic(tmp_path / "s01.bdf")

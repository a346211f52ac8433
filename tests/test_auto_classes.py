"""transformers loads the model folder of a run after `import milmer_cli` alone."""

from __future__ import annotations

import pytest

import milmer_cli
from helpers import run_python

MILMER_FIRST = """
import sys
import milmer_cli
assert "transformers" not in sys.modules
from transformers import AutoConfig, AutoModel
"""
TRANSFORMERS_FIRST = """
import sys
from transformers import AutoConfig, AutoModel
import milmer_cli
"""
LOAD = """
assert "milmer_cli.models" not in sys.modules
folder = sys.argv[1]
config = AutoConfig.from_pretrained(folder)
model = AutoModel.from_pretrained(folder)
assert type(config) is milmer_cli.MilmerConfig
assert type(model) is milmer_cli.MilmerModel
print(config.id2label)
"""


@pytest.mark.slow
@pytest.mark.parametrize("imports", [MILMER_FIRST, TRANSFORMERS_FIRST], ids=["before", "after"])
def test_auto_model_loads_a_run_if_milmer_is_imported_before_or_after(imports, untrained_run):
    done = run_python("-c", imports + LOAD, untrained_run / "model")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "{0: 'HAHV', 1: 'LAHV', 2: 'LALV', 3: 'HALV'}\n"


def test_package_offers_the_model_and_its_configuration():
    from milmer_cli import MilmerConfig, MilmerModel

    assert MilmerModel.config_class is MilmerConfig
    assert {"MilmerConfig", "MilmerModel", "load_model"} <= set(milmer_cli.__all__)


def test_package_has_no_other_lazy_names():
    with pytest.raises(AttributeError, match="'milmer_cli' has no attribute 'Milmer'"):
        milmer_cli.Milmer  # noqa: B018

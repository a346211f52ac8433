"""The notation of arrays in the column ``eeg_array``; `test_array_file` tests their layout."""

from __future__ import annotations

import re

import pytest

from milmer_cli.eeg.array_layout import EegArray

SFREQ = 250.0


@pytest.mark.parametrize(
    "text",
    ["", "seg", "seg()", "seg(time,3)", "seg(time,channel,0)", "seg(time,channel,x)",
     "seg{0}(time,channel)", "seg(time,time,channel)", "1seg(time,channel)", "a.b(time,channel)"],
)  # fmt: skip
def test_parse_rejects_text_that_is_no_array(text):
    with pytest.raises(ValueError, match=re.escape(text) or "^$"):
        EegArray.parse(text, SFREQ)


def test_parse_ignores_spaces_and_case():
    array = EegArray.parse(" seg { 2 } ( Time , CHANNEL, 17 ) ", SFREQ)
    assert (array.variable, array.cell, array.axes) == ("seg", 2, ("time", "channel", 17))
    assert str(array) == "seg{2}(time,channel,17)"
    assert str(array.recording) == "seg{:}(time,channel,:)"

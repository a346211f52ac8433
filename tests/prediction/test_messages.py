from __future__ import annotations

from milmer_cli.prediction.messages import Messages
from milmer_cli.progress import SILENT


def test_messages_contain_a_repeated_warning_once():
    messages = Messages(SILENT)
    messages.warn("Few faces.", "Bad EEG.")
    messages.warn("Few faces.")
    messages.note("Resampled.")
    assert messages.all == ("Bad EEG.", "Few faces.", "Resampled.")

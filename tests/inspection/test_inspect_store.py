from __future__ import annotations

from milmer_cli.inspection.inspect_store import _grouped
from milmer_cli.store import Finding


def test_inspect_store_states_each_finding_once():
    findings = [
        Finding("warning", where, message, "")
        for where, message in (("s01", "No faces."), ("s02", "No EEG."), ("s03", "No faces."))
    ]
    assert list(_grouped(findings)) == ["s01, s03: No faces.", "s02: No EEG."]

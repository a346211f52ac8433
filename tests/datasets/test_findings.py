from __future__ import annotations

from milmer_cli.datasets.findings import Findings
from milmer_cli.errors import InputError


def test_findings_name_each_place_of_a_sentence_once():
    findings = Findings()
    findings.add("{}: It is short.", ["s01"])
    findings.add("The order is unknown.")
    findings.add("{}: It is short.", ["s02", "s01"])
    assert findings.sentences() == ("s01, s02: It is short.", "The order is unknown.")


def test_findings_list_at_most_six_places():
    findings = Findings()
    findings.add("Trials without a label ({}).", range(1, 10))
    (sentence,) = findings.sentences()
    assert sentence == "Trials without a label (1, 2, 3, 4, 5, 6 and 3 more)."


def test_findings_keep_braces_in_the_text_of_files():
    findings = Findings()
    findings.add("The type {} and {0} of x.tsv is unknown ({}).", ["row {}"])
    findings.add("{}: The file a{}.mp4 is not used.", ["s01"])
    findings.add("The trials are the events {}.")
    assert findings.sentences() == (
        "The type {} and {0} of x.tsv is unknown (row {}).",
        "s01: The file a{}.mp4 is not used.",
        "The trials are the events {}.",
    )


def test_findings_add_error_keeps_braces_and_merges_lines():
    findings = Findings()
    findings.add_error("P01", InputError("{} is\ndamaged.", "Copy it."), "It is left out: {}")
    (missing,) = findings.missing
    assert (missing.why, missing.fix) == ("It is left out: {} is damaged.", "Copy it.")
    assert findings.last() == "P01: It is left out: {} is damaged."

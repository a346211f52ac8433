"""Leaks that look like clean tables, and clean tables that look like leaks."""

from types import SimpleNamespace

import numpy as np
import pytest

from milmer_cli.audit.leaks import infer_protocol, normal_name


@pytest.mark.parametrize(
    "names",
    [
        ("s01", "S1", "sub-01", "Subject 1", "participant_001", "1"),
        ("1-12", "s01-12"),
        ("Zoë", "zoë"),
        ("trial_03", "3"),
    ],
)
def test_normal_name_of_different_spellings_is_equal(names):
    assert len({normal_name(name) for name in names}) == 1


@pytest.mark.parametrize(
    "names", [("1-12", "11-2", "112"), ("s1.1", "s11"), ("Ж", "Д", "李", "王"), ("+", "-")]
)
def test_normal_name_of_different_names_differs(names):
    assert len({normal_name(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("shared_rows", "session_rows", "protocol"),
    [(4, 4, "participant"), (5, 5, "participant"), (6, 6, "trial"), (6, 5, "session")],
)
def test_infer_protocol_needs_at_least_half_of_the_rows(shared_rows, session_rows, protocol):
    some = np.arange(10) < shared_rows
    shared = SimpleNamespace(
        trial=np.zeros(10, bool),
        session=np.arange(10) < session_rows,
        participant=some,
        stimulus=some,
    )
    table = SimpleNamespace(has=lambda column: column != "stimulus")
    assert infer_protocol(shared, table) == protocol

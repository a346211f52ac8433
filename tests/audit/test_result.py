"""Audits of simulated tables: clean, at chance, and with one planted leak each."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from milmer_cli.audit.result import AuditRequest, audit_predictions
from milmer_cli.errors import InputError
from milmer_cli.formats import versioned
from milmer_cli.metrics import ResamplingOptions

CLASSES = ("HAHV", "LAHV", "LALV", "HALV")
OPTIONS = ResamplingOptions(n_bootstraps=200, n_permutations=199)
HEADER = ["participant", "trial", "stimulus", "onset_s", "truth", *(f"p_{c}" for c in CLASSES)]

Row = dict[str, object]


def study(protocol: str = "trial", skill: float = 0.5, seed: int = 0) -> list[Row]:
    """Predictions of 8 participants x 12 stimuli x 3 segments, tested in 4 folds."""
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    for participant in range(8):
        order = random.permutation(12)  # order of presentation
        labels = random.integers(0, 4, 12)
        for trial, stimulus in enumerate(order):
            fold = {
                "trial": (participant + stimulus) % 4,
                "participant": participant % 4,
                "stimulus": stimulus % 4,
            }[protocol]
            for segment in range(3):
                truth = int(labels[stimulus])
                probabilities = random.dirichlet(np.ones(4))
                if random.random() < skill:
                    probabilities[truth] += 1
                probabilities /= probabilities.sum()
                rows.append(
                    {
                        "participant": f"s{participant + 1:02d}",
                        "trial": trial + 1,
                        "stimulus": stimulus + 1,
                        "onset_s": 3 * segment,
                        "truth": CLASSES[truth],
                        **{f"p_{c}": p for c, p in zip(CLASSES, probabilities, strict=True)},
                        "fold": fold,
                    }
                )
    return rows


def write(path: Path, rows: list[Row]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def splits_of(rows: list[Row], sets: Callable[[Row, int], str]) -> list[Row]:
    """One row per fold and segment; ``sets(row, fold)`` names the set."""
    keep = ("participant", "trial", "stimulus", "onset_s")
    return [
        {"fold": fold, "set": sets(row, fold), **{name: row[name] for name in keep}}
        for fold in range(4)
        for row in rows
    ]


def cross_validation(row: Row, fold: int) -> str:
    return "test" if row["fold"] == fold else "train"


@pytest.fixture
def audit(tmp_path: Path):
    def audit(rows: list[Row], splits: list[Row] | None = None, **request):
        table = write(tmp_path / "predictions.csv", rows)
        split_file = write(tmp_path / "splits.csv", splits) if splits else None
        return audit_predictions(AuditRequest(table, split_file, **request), OPTIONS)

    return audit


@pytest.mark.parametrize("protocol", ["trial", "participant", "stimulus"])
@pytest.mark.parametrize("with_splits", [False, True])
def test_audit_of_a_clean_table_infers_the_protocol_and_finds_no_leak(audit, protocol, with_splits):
    rows = study(protocol)
    result = audit(rows, splits_of(rows, cross_validation) if with_splits else None)
    assert (result.protocol, result.leaks) == (protocol, ())
    assert result.scores.accuracy.value > 0.4
    assert result.scores.chance.p_value < 0.01
    assert result.verdict.startswith("The identity of participants and stimuli does not explain")


def test_audit_document_has_the_documented_keys(audit):
    document = versioned("audit", audit(study()).to_json())
    assert document["format"] == 1
    assert document["n"] == {"segments": 288, "trials": 96, "participants": 8, "stimuli": 12}
    assert document["accuracy"].keys() == {"value", "low", "high", "generalizes_to"}
    assert document["majority"].keys() == {"overall", "participant", "stimulus"}
    assert {"protocol", "p_value", "auc", "leaks", "verdict"} <= document.keys()


def kinds(result) -> set[str]:
    return {leak.kind for leak in result.leaks}


def test_audit_names_shared_trials(audit):
    rows = study()
    moved = [dict(row, fold=(row["fold"] + row["onset_s"] // 3) % 4) for row in rows]
    result = audit(moved)
    assert result.protocol == "segment"
    assert "shared_trial" in kinds(result)
    assert result.leaks[0].count == len(rows)
    assert "generalizes to nobody" in result.headline


@pytest.mark.parametrize(
    ("protocol", "kind", "column"),
    [
        ("participant", "shared_participant", "participant"),
        ("stimulus", "shared_stimulus", "stimulus"),
    ],
)
def test_audit_names_a_shared_participant_or_stimulus(audit, protocol, kind, column):
    rows = study(protocol)
    leaked = next(row[column] for row in rows if row["fold"] == 0)

    def sets(row: Row, fold: int) -> str:
        # half of the leaked group's other trials are also in the training set of fold 0
        if fold == 0 and row[column] == leaked and int(row["trial"]) > 6:
            return "train"
        return cross_validation(row, fold)

    tested = [r for r in rows if not (r[column] == leaked and int(r["trial"]) > 6)]
    result = audit(tested, splits_of(rows, sets))
    assert (result.protocol, kinds(result)) == (protocol, {kind})
    assert str(leaked) in result.leaks[0].where


def test_audit_of_a_claimed_protocol_reports_what_it_does_not_separate(audit):
    result = audit(study("trial"), claimed="participant")
    assert kinds(result) == {"shared_participant"}


def test_audit_names_overlapping_samples(audit):
    rows = [dict(row, duration_s=3) for row in study()]
    splits = splits_of(rows, cross_validation)
    first = next(row for row in rows if row["fold"] == 0)
    keep = ("participant", "trial", "stimulus")
    splits.append(
        {"fold": 0, "set": "train", **{name: first[name] for name in keep}, "onset_s": 1.5}
    )
    result = audit(rows, splits)
    assert kinds(result) == {"shared_trial", "overlapping_samples"}
    assert {leak.kind: leak.count for leak in result.leaks}["overlapping_samples"] == 2


def test_audit_names_duplicated_rows(audit):
    rows = study()
    result = audit([*rows, rows[5], rows[6]])
    (leak,) = result.leaks
    assert (leak.kind, leak.count) == ("duplicate_row", 2)
    assert f"lines 7 and {len(rows) + 2}" in leak.where


@pytest.mark.parametrize("spelling", ["S1", "sub-01", "1"])
def test_audit_names_one_participant_under_two_spellings(audit, spelling):
    rows = study("participant")
    for row in rows:
        if row["participant"] == "s01" and int(row["trial"]) > 6:
            row["participant"] = spelling
    assert kinds(audit(rows)) == {"same_participant"}


def test_audit_names_one_participant_under_two_names_by_equal_rows(audit):
    rows = study("participant")
    twin = [dict(row, participant="x77", fold=3) for row in rows if row["participant"] == "s01"]
    result = audit(rows + twin)
    assert kinds(result) == {"same_participant"}
    assert "s01 and x77" in result.leaks[0].where


@pytest.mark.parametrize(
    ("columns", "leaks"),
    [
        ({"val_acc": [0.3, 0.5, 0.4], "test_acc": [0.2, 0.3, 0.6], "kept": [0, 0, 1]}, True),
        ({"val_acc": [0.3, 0.5, 0.4], "test_acc": [0.2, 0.3, 0.6], "kept": [0, 1, 0]}, False),
        ({"test_acc": [0.2, 0.3, 0.6]}, True),
        (
            {"validation_loss": [0.9, 0.5, 0.6], "test_loss": [0.9, 0.7, 0.4], "best": [0, 0, 1]},
            True,
        ),
        ({"train_loss": [0.9, 0.7, 0.4], "validation_accuracy": [0.2, 0.3, 0.4]}, False),
    ],
)
def test_audit_names_an_epoch_selected_on_the_test_set(audit, tmp_path, columns, leaks):
    history = write(
        tmp_path / "history.csv",
        [{"epoch": i + 1, **{name: v[i] for name, v in columns.items()}} for i in range(3)],
    )
    assert ("epoch_on_test" in kinds(audit(study(), history=history))) is leaks


@pytest.mark.slow
def test_audit_of_null_predictions_is_at_chance(audit):
    n_chance = 0
    for seed in range(100):
        result = audit(study("participant", skill=0.0, seed=seed))
        n_chance += bool(result.scores.chance.p_value > 0.05)
        assert not result.leaks
    assert n_chance >= 91  # expected 95; 97 % binomial interval


def test_audit_without_folds_states_that_the_protocol_is_unknown(audit):
    rows = [{k: v for k, v in row.items() if k != "fold"} for row in study()]
    result = audit(rows)
    assert result.protocol == "unknown"
    assert result.verdict.startswith("The table does not say what the model was trained on")
    assert result.headline.startswith("protocol unknown: accuracy")


@pytest.mark.parametrize("source", ["participant", "stimulus"])
def test_audit_verdict_names_the_identity_that_the_model_reads(audit, source):
    rows = study("trial", skill=0.0)
    number = {name: k for k, name in enumerate(sorted({str(r[source]) for r in rows}))}
    random = np.random.default_rng(0)
    trial_truth: dict[tuple, int] = {}
    for row in rows:
        usual = number[str(row[source])] % 4
        key = (row["participant"], row["trial"])
        truth = trial_truth.setdefault(
            key, usual if random.random() < 0.7 else int(random.integers(4))
        )
        row["truth"] = CLASSES[truth]
        row.update({f"p_{c}": 0.7 if k == usual else 0.1 for k, c in enumerate(CLASSES)})
    # identical rows of a constant model are not evidence for one person under two names
    result = audit(rows)
    assert result.leaks == ()
    assert result.verdict.startswith(f"The identity of the {source} alone can explain")


def test_audit_reads_other_spellings_and_mapped_names(audit):
    names = {
        "participant": "Subject ID",
        "trial": "Trial_No",
        "stimulus": "Video",
        "truth": "emotion",
    }
    rows = [
        {names.get(k, k): v for k, v in row.items() if not k.startswith("p_")} for row in study()
    ]
    for index, row in enumerate(rows):
        row["y_pred"] = row["emotion"] if index % 2 else CLASSES[0]
    with pytest.raises(InputError, match="no column for the true class"):
        audit(rows)
    result = audit(rows, names={"truth": "emotion"})
    assert (result.scores.n_participants, result.scores.n_stimuli) == (8, 12)
    assert result.reliability is None
    assert result.to_json()["auc"] is None


def test_audit_numbered_classes_stand_for_the_probability_columns(audit):
    rows = [dict(row, truth=CLASSES.index(row["truth"])) for row in study()]
    assert audit(rows).scores.accuracy.value == audit(study()).scores.accuracy.value


def test_audit_rejects_logits_in_one_sentence(audit):
    rows = study()
    rows[3]["p_HAHV"] = -4.2
    with pytest.raises(InputError, match=r"row 5: expected probabilities that sum to 1, got -4\.2"):
        audit(rows)


def in_sessions(rows: list[Row]) -> list[Row]:
    """Trials 1 to 6 of each participant are session 1; trials are numbered within the session."""
    return [
        row
        | {
            "session": "ses2" if row["trial"] > 6 else "ses1",
            "trial": (row["trial"] - 1) % 6 + 1,
            "fold": int(row["trial"] > 6),
        }
        for row in rows
    ]


def test_audit_infers_the_session_protocol(audit):
    result = audit(in_sessions(study()))
    assert (result.protocol, result.leaks) == ("session", ())
    assert result.scores.n_trials == 96  # trial 1 of two sessions are two trials
    assert "generalizes to new recording sessions of the same participants" in result.headline
    assert "interval over sessions" in result.headline


def test_audit_names_a_shared_session(audit):
    rows = in_sessions(study())
    moved = [
        row | {"fold": 1} if (row["session"], row["trial"]) == ("ses1", 1) else row for row in rows
    ]
    result = audit(moved, claimed="session")
    (leak,) = result.leaks
    assert (leak.kind, leak.count) == ("shared_session", 120 + 24)  # both sides of each session
    assert audit(rows, claimed="session").leaks == ()
    with pytest.raises(InputError, match="has no column for the session"):
        audit(study(), claimed="session")


def test_audit_matches_splits_by_session(audit):
    def splits_of_sessions(rows):
        return [
            {"fold": fold, "set": "test" if row["fold"] == fold else "train"}
            | {name: row[name] for name in ("participant", "session", "trial")}
            for fold in (0, 1)
            for row in rows
        ]

    rows = in_sessions(study())
    result = audit(rows, splits_of_sessions(rows))
    assert (result.protocol, result.leaks) == ("session", ())
    # trial 1 of a session is not trial 1 of the other one, and not trial 2
    by_trial = [
        row | {"fold": (row["trial"] + (row["session"] == "ses1")) % 2}
        for row in in_sessions(study())
    ]
    result = audit(by_trial, splits_of_sessions(by_trial))
    assert (result.protocol, result.leaks) == ("trial", ())

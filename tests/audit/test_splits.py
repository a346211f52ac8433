"""Split tables with other columns than the table of predictions."""

import csv
from pathlib import Path

import pytest

from milmer_cli.audit.predictions import read_predictions
from milmer_cli.audit.result import AuditRequest, audit_predictions
from milmer_cli.audit.splits import match_splits, read_splits
from milmer_cli.errors import InputError
from milmer_cli.metrics import ResamplingOptions

OPTIONS = ResamplingOptions(n_bootstraps=100, n_permutations=199)
Rows = list[list[object]]


def write(path: Path, header: str, rows: Rows) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    return path


def trials(fold_of) -> Rows:
    """6 participants x 6 stimuli, shown in another order to every participant."""
    return [
        [p, (s + p) % 6, s, "ab"[(p * s) % 2], "ab"[(p * s + s // 5) % 2], fold_of(p, s)]
        for p in range(6)
        for s in range(6)
    ]


@pytest.fixture
def audit(tmp_path):
    def audit(rows: Rows, header: str, splits: Rows, claimed: str = ""):
        table = write(
            tmp_path / "predictions.csv", "participant,trial,stimulus,truth,predicted,fold", rows
        )
        request = AuditRequest(
            table, write(tmp_path / "splits.csv", header, splits), claimed=claimed
        )
        return audit_predictions(request, OPTIONS)

    return audit


def folds_of(rows: Rows, *columns: int) -> Rows:
    return [
        [fold, "test" if row[5] == fold else "train", *(row[c] for c in columns)]
        for fold in range(3)
        for row in rows
    ]


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("fold,set,participant,trial", (0, 1)),
        ("fold,set,participant,stimulus", (0, 2)),
        ("fold,set,participant,trial,stimulus", (0, 1, 2)),
    ],
)
@pytest.mark.parametrize(
    ("protocol", "fold_of"),
    [
        ("trial", lambda p, s: (p + s) % 3),
        ("participant", lambda p, s: p % 3),
        ("stimulus", lambda p, s: s % 3),
    ],
)
def test_splits_identify_trials_by_any_columns(audit, protocol, fold_of, header, columns):
    rows = trials(fold_of)
    result = audit(rows, header, folds_of(rows, *columns))
    assert (result.protocol, result.leaks) == (protocol, ())
    leaky = [[fold, "train", *rest] for fold, _, *rest in folds_of(rows, *columns)]
    assert [leak.kind for leak in audit(rows, header, leaky).leaks] == ["shared_trial"]


def test_splits_of_participants_stand_for_all_their_trials(audit):
    rows, header = trials(lambda p, s: p % 3), "fold,set,participant"
    splits: Rows = [
        [fold, "test" if p % 3 == fold else "train", p] for fold in range(3) for p in range(6)
    ]
    result = audit(rows, header, splits)
    assert (result.protocol, result.leaks) == ("participant", ())
    assert result.comparisons, "the classes of the training set are known"
    leaks = audit(rows, header, [*splits, [0, "train", 3]]).leaks
    assert [(leak.kind, leak.count) for leak in leaks] == [
        ("shared_trial", 6),
        ("shared_participant", 6),
    ]


def test_match_splits_keeps_rows_that_are_never_tested(tmp_path):
    rows = trials(lambda p, s: 0)[:6]
    table = read_predictions(
        write(tmp_path / "p.csv", "participant,trial,stimulus,truth,predicted,fold", rows)
    )
    splits = read_splits(
        write(
            tmp_path / "s.csv", "fold,set,participant,trial", [[0, "fit", 9, 4], [0, "dev", 0, 3]]
        )
    )
    matched = match_splits(splits, table)
    assert matched.trial_id.tolist() == ["9/4", "0/3"]
    assert matched.stimulus.tolist() == ["", "3"]
    assert matched.set.tolist() == ["train", "validation"]


def held_out(*columns: int) -> tuple[Rows, Rows]:
    """Predictions of stimuli 3 to 5, and a split with training trials that are never tested."""
    rows = trials(lambda p, s: 0)
    splits: Rows = [[0, "train", *(row[c] for c in columns)] for row in rows if int(row[2]) < 3]
    return [row for row in rows if int(row[2]) > 2], splits


def test_splits_without_stimuli_do_not_show_that_stimuli_are_new(audit):
    tested, splits = held_out(0, 1)
    result = audit(tested, "fold,set,participant,trial", splits)
    assert (result.protocol, result.comparisons) == ("trial", ())
    assert result.verdict.startswith("The true classes of the training set are unknown")
    with pytest.raises(InputError, match="training trials without a stimulus"):
        audit(tested, "fold,set,participant,trial", splits, claimed="stimulus")
    tested, splits = held_out(0, 1, 2)
    result = audit(tested, "fold,set,participant,trial,stimulus", splits, claimed="stimulus")
    assert result.leaks == ()


def test_splits_state_the_classes_of_trials_that_are_never_tested(audit):
    tested, splits = held_out(0, 1, 3)
    result = audit(tested, "fold,set,participant,trial,truth", splits)
    assert [found.second for found in result.comparisons][:2] == [
        "majority class",
        "participant identity",
    ]


def test_splits_must_name_participants_as_the_predictions_do(audit):
    rows = trials(lambda p, s: p % 3)
    splits = [[fold, name, f"s{p:02}"] for fold, name, p in folds_of(rows, 0)]
    with pytest.raises(InputError, match=r"names a participant 's00'.* names '0'"):
        audit(rows, "fold,set,participant", splits)


def test_splits_must_have_a_training_set_for_every_fold(audit):
    rows = trials(lambda p, s: p % 3)
    splits = [row for row in folds_of(rows, 0, 1) if row[0] != 1]
    with pytest.raises(InputError, match="has no training set for 1 in the column fold"):
        audit(rows, "fold,set,participant,trial", splits)


def test_predictions_must_have_one_class_per_trial(audit):
    rows = trials(lambda p, s: p % 3)
    rows[1][1] = rows[0][1]
    rows[1][3] = "b" if rows[0][3] == "a" else "a"
    with pytest.raises(InputError, match=r"different true classes in trial 0/0 .* lines 2 and 3"):
        audit(rows, "fold,set,participant,trial", folds_of(rows, 0, 1))


def test_predicted_class_may_be_tied_after_rounding(tmp_path):
    rows: Rows = [
        [*row, 0.5, 0.5, name]
        for row in trials(lambda p, s: (p + s) % 3)
        for name in ("trial", "participant")
    ]
    header = "participant,trial,stimulus,truth,predicted,fold,p_a,p_b,protocol"
    table = write(tmp_path / "p.csv", header, rows)
    result = audit_predictions(AuditRequest(table), OPTIONS)
    assert result.scores.n_segments == 36, "only the rows of one protocol"
    expected = sum(row[3] == row[4] for row in rows) / len(rows)
    assert result.scores.accuracy.value == pytest.approx(expected)
    rows[0][4] = "b" if rows[0][4] == "a" else "a"
    rows[0][6:8] = (0.4, 0.6) if rows[0][4] == "a" else (0.6, 0.4)
    with pytest.raises(InputError, match="1 rows predict another class"):
        audit_predictions(AuditRequest(write(tmp_path / "p.csv", header, rows)), OPTIONS)


@pytest.mark.parametrize(
    ("protocol", "fold_of"),
    [("trial", lambda p, s: (p + s) % 3), ("participant", lambda p, s: p % 3)],
)
def test_splits_may_name_the_stimuli_of_tested_trials_differently(audit, protocol, fold_of):
    rows = trials(fold_of)
    splits = [[*row[:4], f"film_{row[4]}"] for row in folds_of(rows, 0, 1, 2)]
    result = audit(rows, "fold,set,participant,trial,stimulus", splits)
    assert (result.protocol, result.leaks) == (protocol, ())


@pytest.mark.parametrize("form", ["{}.0", "{:02}"])
def test_splits_name_leaked_trials_as_numbers_in_other_formats(audit, form):
    rows = trials(lambda p, s: (p + s) % 3)
    splits = [[fold, "train", p, form.format(t)] for fold, _, p, t in folds_of(rows, 0, 1)]
    (leak,) = audit(rows, "fold,set,participant,trial", splits).leaks
    assert (leak.kind, leak.count) == ("shared_trial", 36)


def test_splits_must_name_trials_and_new_stimuli_as_the_predictions_do(audit):
    rows = trials(lambda p, s: (p + s) % 3)
    splits = [[fold, "train", p, f"trial-{t}"] for fold, _, p, t in folds_of(rows, 0, 1)]
    with pytest.raises(InputError, match=r"names a trial 'trial-0', .* names '0'"):
        audit(rows, "fold,set,participant,trial", splits)
    tested, splits = held_out(0, 1, 2)
    splits = [[*row[:4], f"clip{int(str(row[4])) + 3}"] for row in splits]
    with pytest.raises(InputError, match=r"names a stimulus 'clip3', .* names '3'"):
        audit(tested, "fold,set,participant,trial,stimulus", splits)


def test_predictions_must_have_one_stimulus_per_trial(audit):
    rows = trials(lambda p, s: p % 3)
    rows[1][1], rows[1][3] = rows[0][1], rows[0][3]
    with pytest.raises(InputError, match=r"different stimuli in trial 0/0 .* lines 2 and 3"):
        audit(rows, "fold,set,participant,trial", folds_of(rows, 0, 1))

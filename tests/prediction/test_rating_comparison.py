from __future__ import annotations

from pathlib import Path

from milmer_cli.prediction.batch import BatchResult, SummaryRow, compare_with_ratings
from milmer_cli.prediction.result import ModelSummary


def row(label, sets=(), error=""):
    return SummaryRow("", "", label=label, sets=sets, error=error)


def test_compare_with_ratings_counts_the_recordings_that_have_both():
    rows = {
        "a": row("HAHV", ["training"]),
        "b": row("HAHV", ["test"]),
        "c": row("LALV", ["validation", "test"]),
        "d": row("LALV"),
        "e": row(""),
        "f": row("", None, "cannot be read"),
        "unrated": row("HAHV"),
    }
    rated = {"a": "HAHV", "b": "LALV", "c": "LALV", "d": "LALV", "e": "HAHV", "f": "HAHV"}
    found = compare_with_ratings(rows, rated)
    assert (found.n, found.correct, found.abstained, found.trained_on) == (4, 3, 1, 2)
    assert (found.majority_class, found.majority_rate) == ("LALV", 0.75)
    assert found.sentences == (
        "75.0% of 4 rated recordings have the class of their rating. Predicting the most frequent "
        "class of these ratings, LALV, for all of them would give 75.0%. Not counted: 1 with an "
        "abstention. 2 of the 4 are in the training or validation set of the model, so this is not "
        "the accuracy for new recordings; `milmer evaluate` estimates that."
    )
    assert compare_with_ratings(rows, {}) is None
    assert compare_with_ratings({"e": row("")}, rated) is None


def test_compare_with_ratings_of_new_recordings_needs_no_caveat():
    found = compare_with_ratings({"a": row("HAHV")}, {"a": "HAHV"})
    assert found.trained_on == 0
    assert found.sentences.endswith("would give 100.0%.")


def test_batch_result_warns_of_recordings_that_the_model_was_trained_on():
    rows = {"a": row("HAHV", ["training"]), "b": row("HAHV", ["test"]), "c": row("HAHV", None)}
    result = BatchResult(Path("out"), rows, (), ("HAHV",), ModelSummary("run", "a score"))
    warning = dict(result.summary())["warning"]
    assert warning == "1 of 3 recordings are in its training or validation set: a"

"""``milmer audit``: exit codes, output, arguments, and the example in docs/audit.md."""

import csv
import json
import re
from pathlib import Path

import pytest

from milmer_cli.audit.leaks import DESCRIPTIONS
from milmer_cli.audit.predictions import SPELLINGS
from milmer_cli.audit.splits import SETS

PAGE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
FAST = ("--n-permutations", "200", "--n-bootstraps", "100")


def write(path: Path, header: str, rows: list[list]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])


@pytest.fixture(autouse=True)
def tables(tmp_path):
    """``clean.csv``: 6 participants x 6 stimuli in 3 folds by trial; ``splits.csv``: its folds.

    In ``leaky.csv`` the second segment of every trial is tested in another fold, and in
    ``leaky-splits.csv`` fold 0 was also trained on its own test set.
    """
    trials = [(p, s, (p + s) % 3) for p in range(6) for s in range(6)]
    rows = [[p, s, s, "ab"[(p * s) % 2], "ab"[(p * s + s // 5) % 2], fold] for p, s, fold in trials]
    header = "participant,trial,stimulus,truth,predicted,fold"
    write(tmp_path / "clean.csv", header, rows)
    write(tmp_path / "leaky.csv", header, rows + [[*row[:-1], (row[-1] + 1) % 3] for row in rows])
    splits = [
        [fold, "test" if fold == own else "train", p, s]
        for fold in range(3)
        for p, s, own in trials
    ]
    write(tmp_path / "splits.csv", "fold,set,participant,trial", splits)
    leaky = [[fold, "train" if fold == 0 else name, p, s] for fold, name, p, s in splits]
    write(tmp_path / "leaky-splits.csv", "fold,set,participant,trial", leaky)


def test_audit_of_a_clean_table_exits_with_0(milmer, tmp_path):
    outcome = milmer("audit", "clean.csv", *FAST)
    assert (outcome.code, outcome.err) == (0, "")
    assert re.search(r"^result +trial protocol: accuracy ", outcome.out)
    assert re.search(r"^leaks +none found$", outcome.out, re.MULTILINE)
    assert (tmp_path / "audit" / "report.html").read_text().startswith("<!doctype html>")
    assert json.loads((tmp_path / "audit" / "audit.json").read_text())["leaks"] == []


def test_audit_of_a_leaky_table_exits_with_1_and_names_the_leak(milmer, tmp_path):
    outcome = milmer("audit", "leaky.csv", "--out", "here", *FAST)
    assert (outcome.code, outcome.err) == (1, "")
    assert "segment protocol (LEAKY)" in outcome.out
    assert re.search(r"^leak +shared_trial: 72 test rows", outcome.out, re.MULTILINE)
    assert (tmp_path / "here" / "audit.json").is_file()


def test_audit_without_folds_states_that_leaks_were_not_checked(milmer):
    outcome = milmer("audit", "clean.csv", "--map", "fold=", *FAST)
    assert outcome.code == 0
    assert re.search(r"^leaks +not checked: add a column fold", outcome.out, re.MULTILINE)


@pytest.mark.parametrize(("table", "code"), [("clean.csv", 0), ("leaky.csv", 1)])
def test_audit_json_prints_exactly_one_document(milmer, tmp_path, table, code):
    outcome = milmer("audit", table, "--json", *FAST)
    assert (outcome.code, outcome.err) == (code, "")
    written = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert outcome.document == {**written, "notes": []}
    log = (tmp_path / "audit" / "log.txt").read_text()
    assert " $ milmer audit " in log
    assert f"\nresult: {written['headline']}\n" in log
    assert outcome.document["format"] == 1
    assert bool(outcome.document["leaks"]) == (code == 1)


@pytest.mark.parametrize("flag", [(), ("--splits",)])
def test_audit_takes_the_splits_as_an_argument_or_an_option(milmer, flag):
    assert milmer("audit", "clean.csv", *flag, "splits.csv", *FAST).code == 0
    outcome = milmer("audit", "clean.csv", *flag, "leaky-splits.csv", "--json", *FAST)
    assert outcome.code == 1
    assert [(leak["kind"], leak["count"]) for leak in outcome.document["leaks"]] == [
        ("shared_trial", 12)
    ]


def test_audit_of_a_claimed_protocol_reports_shared_participants(milmer):
    outcome = milmer("audit", "clean.csv", "--protocol", "participant", "--json", *FAST)
    assert outcome.code == 1
    assert [leak["kind"] for leak in outcome.document["leaks"]] == ["shared_participant"]


def test_audit_uses_the_given_level_and_margin(milmer):
    outcome = milmer(
        *("audit", "clean.csv", "--confidence-level", "0.8", "--equivalence-margin", "0.1"), *FAST
    )
    assert "(trial level, 80 % interval over stimuli)" in outcome.out
    document = milmer("audit", "clean.csv", "--json", "--equivalence-margin", "0.1", *FAST).document
    assert {row["margin"] for row in document["baselines"]} == {0.1}


def test_audit_map_names_columns_of_all_files(milmer, tmp_path):
    for name in ("clean.csv", "splits.csv"):
        text = (tmp_path / name).read_text()
        header, rest = text.split("\n", 1)
        renamed = header.replace("participant", "vp").replace("truth", "emotion")
        (tmp_path / name).write_text(renamed.replace("set", "use") + "\n" + rest)
    write(tmp_path / "history.csv", "round,test_accuracy", [[1, 0.4], [2, 0.6]])
    named = ("--map", "truth=emotion", "--map", "participant=vp", "--map", "set=use")
    assert milmer("audit", "clean.csv", "splits.csv", *named, *FAST).code == 0
    outcome = milmer(
        *("audit", "clean.csv", "splits.csv", "--history", "history.csv", "--json"),
        *(*named, "--map", "epoch=round", *FAST),
    )
    assert [leak["kind"] for leak in outcome.document["leaks"]] == ["epoch_on_test"]


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("nowhere.csv",), "file 'nowhere.csv' does not exist", "milmer audit --help"),
        ((), "Missing argument", "milmer audit --help"),
        (
            ("clean.csv", "splits.csv", "--splits", "splits.csv"),
            "SPLITS and --splits cannot be combined.",
            "Leave one of them out.",
        ),
        (("clean.csv", "--map", "truth"), "--map: expected COLUMN=NAME, got 'truth'.", "truth="),
        (("clean.csv", "--map", "=truth"), "--map: expected COLUMN=NAME", "truth="),
        (("clean.csv", "--map", "emotion=truth"), "--map: expected one of participant", "--map"),
        (("clean.csv", "--map", "truth=feeling"), "has no column 'feeling'", "It has the columns"),
        (("clean.csv", "--map", "participant="), "no column for the participant", "--map"),
        (("clean.csv", "--map", "predicted="), "no column for the predicted class", "--map"),
        (
            ("clean.csv", "--protocol", "stimulus", "--map", "stimulus="),
            "no column for the stimulus: the stimulus protocol cannot be checked",
            "--map stimulus=NAME",
        ),
        (("clean.csv", "--protocol", "segment"), "'segment' is not one of", "--help"),
        (("clean.csv", "--model", "mine"), "has no column model", "Leave out --model."),
        (("splits.csv",), "no column for the true class", "--map"),
        (("clean.csv", "clean.csv"), "no column for the set", "split table"),
        (("clean.csv", "--n-permutations", "5"), "evaluate.n_permutations", ""),
    ],
)
def test_audit_rejects_a_wrong_call_or_table(milmer, tmp_path, arguments, message, hint):
    outcome = milmer("audit", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
    assert hint in outcome.err
    assert not (tmp_path / "audit").exists()


def test_audit_lists_all_wrong_cells(milmer, tmp_path):
    write(
        tmp_path / "bad.csv",
        "participant,trial,truth,p_a,p_b",
        [[1, 1, "a", 0.5, 0.5], [1, 2, "", 0.5, 0.5], [1, 3, "c", 0.7, 0.7]],
    )
    outcome = milmer("audit", "bad.csv", "--json")
    assert outcome.code == outcome.document["error"]["exit_code"] == 2
    message = outcome.document["error"]["message"]
    assert "row 3: truth: expected a class (a, b), got an empty cell" in message
    assert "row 4: truth: expected a class (a, b), got 'c'" in message
    assert "row 4: expected probabilities that sum to 1, got 0.7, 0.7" in message


def test_audit_page_shows_the_output_of_its_example(milmer):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(code, {})
    shown = re.findall(r"```console\n\$ milmer (.*)\n((?:.*\n)*?)```", PAGE)
    assert len(shown) == 3
    for arguments, output in shown:
        assert milmer(*arguments.split()).out == output


def test_audit_page_lists_all_spellings_and_leaks():
    tables, _, rest = PAGE.partition("## Split table")
    rows = dict(re.findall(r"^\| `(\w+)`[^|]* \| (.*) \|$", tables, re.MULTILINE))
    for column, spellings in SPELLINGS.items():
        assert re.findall(r"`(\w+)`", rows[column]) == spellings.split()
    (sets,) = re.findall(r"\| set \| spellings \|\n((?:\|.*\n)*)", PAGE)
    assert set(re.findall(r"`(\w+)`", sets)) == SETS.keys()
    (leaks,) = re.findall(r"\| kind \| count \| found if \|\n((?:\|.*\n)*)", rest)
    assert re.findall(r"^\| `(\w+)` \|", leaks, re.MULTILINE) == list(DESCRIPTIONS)


def test_audit_page_lists_all_keys_of_the_document(milmer):
    section = PAGE.partition("## JSON document")[2]
    documented = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    document = milmer("audit", "clean.csv", "--json", *FAST).document
    assert documented == list(document)
    (row,) = {tuple(row) for row in document["baselines"]}
    assert all(f"`{key}`" in section for key in row)

import logging
import os
import warnings

from milmer_cli.cli.console import Console, print_error, silence_libraries


def test_console_writes_progress_to_stderr(capsys):
    with Console() as opened:
        opened.progress.start("task", 3)
        opened.progress.note("info")
    assert capsys.readouterr().out == ""


def test_silence_libraries_keeps_what_the_user_has_set(monkeypatch, capsys):
    monkeypatch.setenv("MNE_LOGGING_LEVEL", "INFO")
    monkeypatch.delenv("TRANSFORMERS_VERBOSITY", raising=False)
    with warnings.catch_warnings():
        silence_libraries()
        warnings.warn("noise", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == ""
    assert not logging.getLogger("transformers").isEnabledFor(logging.WARNING)
    assert logging.getLogger("transformers").isEnabledFor(logging.ERROR)
    assert os.environ["TRANSFORMERS_VERBOSITY"] == "error"
    assert os.environ["MNE_LOGGING_LEVEL"] == "INFO"


def test_text_from_files_does_not_control_the_terminal(capsys):
    with Console() as opened:
        opened.print_rows([("test set", "41 %\x1b[2J\udc80\x9b3J\tü")])
    print_error(("The file \x1b]0;x\x07 is damaged.", "Give \x1b[31m it.", "InputError", 2), False)
    captured = capsys.readouterr()
    assert captured.out == "test set  41 %?[2J??3J\tü\n"
    assert captured.err == "Error: The file ?]0;x? is damaged.\nHint: Give ?[31m it.\n"

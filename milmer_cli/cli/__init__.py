"""The command line: parse, call one stage, print its result. The only package with typer and rich.

- `app`: the list of commands, loaded on demand; errors -> message, hint and exit code
- `options`: what all commands share: options, settings, output folder
- `demo`, `prepare`, `inspect`, `finetune_swin`, `train`, `evaluate`, `predict`: one command each
- `audit`: ``milmer audit``
- `export`: ``milmer export``
- `manifest`: ``milmer manifest events``
- `weights`: ``milmer weights list|fetch|verify``
- `settings`: ``milmer settings show|schema|init``
- `formats`: ``milmer formats [NAME]``
- `cite`: ``milmer cite``
- `info`: ``milmer info``
- `docs`: ``milmer docs``
- `version`: ``milmer version``
- `last_error`: the type of the last error, for ``milmer info --report``
- `help`: ``milmer help [COMMAND]``
- `completion`: words with ``=`` in bash
- `setting_names`: completion of ``--set``, and the hint for unknown flags
- `console`: messages on stderr, one result on stdout, JSON
- `progress`: progress as bars on a terminal and as lines elsewhere
- `tables`: tables with columns

A stage is imported inside its command, so that ``--help`` is fast.

To add a command: write ``cli/NAME.py`` with a function decorated by `options.command`, and add its
name and the first line of its docstring to ``COMMANDS`` in `app`.
"""

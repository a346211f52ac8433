"""The command line: parse, call one stage, show its result. The only user of typer and rich.

- `app.py`       the list of commands; errors -> one sentence and an exit code
- `command.py`   what every command shares: options, settings, output folder
- `console.py`   progress on stderr (`bars.py` on a terminal), results on stdout, JSON
- one small file a command: `demo`, `prepare`, `finetune_swin`, `train`, `evaluate`, `predict`,
  `settings`, `info`

A stage is imported inside its command, so that ``--help`` stays fast.
"""

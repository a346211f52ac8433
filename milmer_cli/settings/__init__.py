"""The one schema of settings, and the only user of YAML.

- `schema.py`    every setting: kind, unit, range, default, source; a frozen model a section
- `describe.py`  the same in words: allowed values, documentation, JSON Schema
- `load.py`      preset < file < --set < flags -> one checked `Settings`
- `write.py`     `Settings` -> YAML (resolved, as asked, commented) and fingerprints
- `published.py` what a user must be told of the published code's faults
- `presets/`     default.yaml (the schema's defaults), published.yaml, demo.yaml (small)
"""

from milmer_cli.settings.load import load_settings
from milmer_cli.settings.schema import Settings
from milmer_cli.settings.write import asked_yaml, dump_yaml, fingerprint

__all__ = ["Settings", "asked_yaml", "dump_yaml", "fingerprint", "load_settings"]

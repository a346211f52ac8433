"""Settings: one schema, read from presets, files and flags. The only package that uses YAML.

- `schema`: every setting with type, unit, range, default and source; one frozen model per section
- `baseline_names`: names of baselines that are not part of Milmer
- `docs`: the schema as text: documentation, allowed values, JSON Schema
- `load`: preset < file < ``--set`` < flags -> validated `Settings`
- `write`: `Settings` -> YAML (complete, explicit or commented) and fingerprints
- `published_defects`: warnings about defects of the published code that the settings reproduce
- `presets`: default.yaml (the schema's defaults), published.yaml, demo.yaml (small)

To add a setting: add an attribute with type, range, default and documentation to its section in
`schema`. Flags, files, checks and messages follow; a test requires that some code reads it.
To rename one: also add its earlier name to ``RENAMED`` in `load`.
"""

from milmer_cli.settings.load import load_settings
from milmer_cli.settings.schema import Settings
from milmer_cli.settings.write import dump_yaml, fingerprint

__all__ = ["Settings", "dump_yaml", "fingerprint", "load_settings"]

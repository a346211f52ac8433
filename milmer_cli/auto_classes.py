"""Make transformers' ``AutoConfig`` and ``AutoModel`` find Milmer models, without importing either.

transformers finds the class of a model folder by looking up its ``model_type`` in
``CONFIG_MAPPING``. It has no entry points for other packages, and ``AutoConfig.register`` needs the
class itself, whose import takes seconds. Therefore the first lookup of ``milmer`` imports
`milmer_cli.models`, which registers its classes. If transformers is not imported yet, this is set
up as soon as it defines the mapping.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

MODEL_TYPE = "milmer"
_MAPPING_MODULE = "transformers.models.auto.configuration_auto"


def register_on_lookup() -> None:
    """Register the Milmer classes with transformers as soon as a model folder needs them."""
    if (module := sys.modules.get(_MAPPING_MODULE)) is not None:
        _import_models_on_lookup(module)
    else:
        sys.meta_path.insert(0, _MappingModuleFinder())


class _MappingModuleFinder:
    """Find the module of the mapping as Python does, and prepare it when it has been executed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _MAPPING_MODULE:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            _import_models_on_lookup(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _import_models_on_lookup(module: ModuleType) -> None:
    mapping_type = type(module.CONFIG_MAPPING)
    for name in ("__contains__", "__getitem__"):
        setattr(mapping_type, name, _importing_models(getattr(mapping_type, name)))


def _importing_models(lookup: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    @functools.wraps(lookup)
    def wrapper(mapping: Any, key: str) -> Any:
        if key == MODEL_TYPE:
            importlib.import_module("milmer_cli.models")
        return lookup(mapping, key)

    return wrapper

"""Views of photographed faces with known landmarks."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from milmer_cli.faces.detector import FaceDetector
from milmer_cli.settings.schema import FacesSettings

SCRIPT = Path(__file__).parents[2] / "bench" / "face_views.py"


@pytest.fixture(scope="session")
def views() -> ModuleType:
    """The module bench/face_views.py."""
    spec = importlib.util.spec_from_file_location("bench_face_views", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # data classes look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def centerface() -> FaceDetector:
    """The detector centerface."""
    return FaceDetector(FacesSettings(detector="centerface"))

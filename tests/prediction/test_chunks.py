from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from milmer_cli.errors import InputError
from milmer_cli.prediction import chunks
from milmer_cli.prediction.chunks import iter_chunks, prefetch
from milmer_cli.settings import load_settings
from milmer_cli.video.frames import VideoSpan


def test_prefetch_raises_the_exception_of_the_iterator():
    def broken():
        yield 1
        raise InputError("the file ends")

    items = prefetch(broken())
    assert next(items) == 1
    with pytest.raises(InputError, match="the file ends"):
        next(items)


def test_prefetch_ends_its_thread_when_closed():
    def endless():
        while True:
            yield 0

    items = prefetch(endless())
    next(items)
    items.close()
    time.sleep(0.05)
    assert not [thread for thread in threading.enumerate() if thread.name == "milmer-prefetch"]


def test_iter_chunks_detects_faces_on_the_device(monkeypatch):
    devices = []

    def iter_face_segments(video, onsets_s, segment_s, settings, device, stop):
        devices.append(device)
        return iter(())

    monkeypatch.setattr(chunks, "iter_face_segments", iter_face_segments)
    span = VideoSpan(Path("face.mp4"))
    assert not list(iter_chunks(np.arange(2) * 3.0, None, span, load_settings(), "cuda"))
    assert devices == ["cuda"]

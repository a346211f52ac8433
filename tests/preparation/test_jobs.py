"""What the jobs of a participant pass to the shared preprocessing."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from milmer_cli.errors import MilmerError
from milmer_cli.faces.segment_faces import SegmentFaces
from milmer_cli.folder_lock import FolderLock
from milmer_cli.preparation import jobs
from milmer_cli.preparation.jobs import FacesJob, JobContext
from milmer_cli.settings import load_settings
from milmer_cli.video.frames import VideoSpan


class StubCache:
    def save_faces(self, trial: int, faces: SegmentFaces) -> None:
        pass


@pytest.mark.parametrize(("uses_gpu", "device"), [(True, "cuda:1"), (False, "cpu")])
def test_faces_job_detects_on_the_device_of_its_worker(uses_gpu, device, monkeypatch):
    settings = load_settings(overrides=["run.device=cuda"])
    video, onsets_s = VideoSpan(Path("face.mp4"), 2.5), np.array([0.0, 3.0])
    calls = []

    def iter_face_segments(*arguments):
        calls.append(arguments)
        return [SegmentFaces.missing(2, settings.faces.instances)]

    monkeypatch.setattr(jobs, "iter_face_segments", iter_face_segments)
    monkeypatch.setattr(jobs, "select_face_video", lambda video, faces, device: (video, []))
    monkeypatch.setattr(jobs, "uses_gpu", lambda faces: uses_gpu)
    monkeypatch.setattr(jobs, "worker_device", lambda run: {"cuda": "cuda:1"}[run.device])
    context = SimpleNamespace(
        settings=settings, plan=SimpleNamespace(onsets_s={7: onsets_s}), open_cache=StubCache
    )

    FacesJob(context, SimpleNamespace(participant="s01", trial=7), video)()

    assert calls == [(video, onsets_s, 3.0, settings.faces, device)]


def test_job_context_opens_no_cache_while_another_process_holds_the_lock(tmp_path):
    plan = SimpleNamespace(participant="s01", fingerprints={})
    with FolderLock(tmp_path) as killed:
        context = JobContext(None, plan, tmp_path, None, killed.token)
        context.open_cache()

    with FolderLock(tmp_path), pytest.raises(MilmerError, match="by another process"):
        context.open_cache()

"""Groups of jobs and their numbers of processes."""

from types import SimpleNamespace

import pytest

from milmer_cli.preparation import backends
from milmer_cli.preparation.backends import job_groups
from milmer_cli.preparation.jobs import EegJob, FacesJob
from milmer_cli.settings import load_settings


def some_jobs():
    """Jobs of two participants with one and three videos."""
    jobs = []
    for name, n_videos in (("s01", 1), ("s02", 3)):
        jobs.append(EegJob(SimpleNamespace(plan=SimpleNamespace(participant=name))))
        trial = SimpleNamespace(participant=name)
        jobs += [FacesJob(None, trial, None) for _ in range(n_videos)]
    return jobs


@pytest.fixture
def machine(monkeypatch):
    """A machine with 4 cores and 2 GPUs, and a detector that can use them."""
    monkeypatch.setattr(backends.joblib, "cpu_count", lambda: 4)
    monkeypatch.setattr(backends.torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(backends, "uses_gpu", lambda faces: faces.detector == "sfd")
    monkeypatch.setattr(
        backends.Device, "from_settings", lambda run: SimpleNamespace(type=run.device)
    )


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["faces.detector=dlib", "run.device=cuda"], [(6, 4)]),
        (["faces.detector=sfd", "run.device=cpu"], [(6, 4)]),
        (["faces.detector=sfd", "run.device=cuda"], [(2, 2), (4, 2)]),
        (["faces.detector=sfd", "run.device=cuda", "run.workers=3"], [(2, 2), (4, 3)]),
        (["faces.detector=sfd", "run.device=cuda", "run.scheduler=tcp://x:1"], [(6, 4)]),
    ],
)
def test_job_groups_one_process_per_core_or_gpu(machine, overrides, expected):
    jobs = some_jobs()

    groups = job_groups(jobs, load_settings(overrides=overrides))

    assert [(len(group), n_workers) for group, n_workers in groups] == expected
    assert {id(job) for group, _ in groups for job in group} == {id(job) for job in jobs}
    if len(groups) == 2:
        assert all(isinstance(job, FacesJob) for job in groups[1][0])


def test_job_groups_without_jobs():
    assert job_groups([], load_settings()) == []

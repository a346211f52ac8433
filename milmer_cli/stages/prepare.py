"""Prepare a store from raw recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from milmer_cli.data.signal_quality import store_quality
from milmer_cli.datasets.base import Recordings
from milmer_cli.datasets.open_recordings import open_recordings
from milmer_cli.device import Device
from milmer_cli.eeg.channels import average_reference
from milmer_cli.eeg.ica import require_icalabel
from milmer_cli.faces.detector import choose_detector
from milmer_cli.folder_lock import FolderLock
from milmer_cli.preparation.jobs import JobContext
from milmer_cli.preparation.participants import none_usable, plan_participants, prepare_participants
from milmer_cli.preparation.plan import (
    ParticipantPlan,
    keep_valid_parts,
    limit_band,
    stored_settings,
)
from milmer_cli.preparation.result import (
    PrepareDryRunResult,
    PrepareResult,
    coverage_warnings,
    summarize,
)
from milmer_cli.progress import SILENT, Progress
from milmer_cli.reports.plots.signal_quality import plot_quality_overview
from milmer_cli.reports.plots.style import save_figure
from milmer_cli.run_log import RunLog
from milmer_cli.settings import Settings, load_settings
from milmer_cli.store.index import PreparedStore, update_index
from milmer_cli.store.schema import QUALITY_FILE
from milmer_cli.store.tables import write_coverage
from milmer_cli.store.validate import validate_store

_MAX_FINDINGS = 8


def prepare(
    recordings: Recordings | Path | str,
    out: Path | str,
    settings: Settings | None = None,
    *,
    progress: Progress = SILENT,
) -> PrepareResult:
    """Preprocess the EEG, extract the faces and write the prepared store.

    Parameters
    ----------
    recordings
        The data set: its path (see `open_recordings`), or an object.
    out
        Folder of the store. Parts that are up to date are reused.
    settings
        Sections ``data``, ``eeg``, ``faces``, ``quality`` and ``run``; by default those of
        `load_settings`.
    progress
        Advanced by parts: the EEG of a participant or the faces of a trial. There is one task for
        all parts and one for each participant in progress.

    Raises
    ------
    InputError
        The data set cannot be opened; no participant can be used, or one that
        ``data.participants`` selects; another process prepares ``out``; the device, the cluster or
        the package of ``eeg.eog_correction`` is not available.
    MilmerError
        Writing failed. Finished parts are kept.
    """
    settings, out = settings or load_settings(), Path(out)
    _check_devices(settings)
    if isinstance(recordings, str | Path):
        recordings = open_recordings(Path(recordings), settings.data)
    with FolderLock(out, f"The store {out} is being prepared") as lock, RunLog(progress) as log:
        settings, detector, plans, excluded = _plan(recordings, out, settings, log)
        log.open(out)
        for plan in plans:
            keep_valid_parts(plan, out)
        contexts = _contexts(plans, recordings, out, settings, detector, lock.token)
        problems = prepare_participants(contexts, settings, detector, log)
        excluded |= {name: problem.message for name, problem in problems.items()}
        plans = [plan for plan in plans if plan.participant not in problems]
        if not plans:
            raise none_usable(excluded)
        _update_index(out, settings, plans, recordings.data_set, log)
        store = PreparedStore.open(out)
        coverage = write_coverage(store)
        quality = store_quality(store, settings.quality)
        save_figure(
            plot_quality_overview(quality, settings.quality.max_bad_channels), out / QUALITY_FILE
        )
        _report_findings(out, log)
        for warning in coverage_warnings(store.participant(plan.participant) for plan in plans):
            log.note(warning, "warning")
        return log.record(summarize(store, plans, excluded, detector, coverage, quality))


def prepare_dry_run(
    recordings: Recordings | Path | str,
    out: Path | str,
    settings: Settings | None = None,
    *,
    progress: Progress = SILENT,
) -> PrepareDryRunResult:
    """Check everything that `prepare` checks, list what it would compute, and write nothing.

    Parameters and errors are those of `prepare`.
    """
    settings, out = settings or load_settings(), Path(out)
    _check_devices(settings)
    if isinstance(recordings, str | Path):
        recordings = open_recordings(Path(recordings), settings.data)
    _, detector, plans, excluded = _plan(recordings, out, settings, progress)
    return PrepareDryRunResult.of(out, plans, excluded, detector)


def _check_devices(settings: Settings) -> None:
    """Report a missing device or package before any work."""
    if not settings.run.scheduler:
        Device.from_settings(settings.run)
    if settings.eeg.eog_correction == "icalabel":
        require_icalabel()


def _plan(
    recordings: Recordings, out: Path, settings: Settings, progress: Progress
) -> tuple[Settings, str, list[ParticipantPlan], dict[str, str]]:
    """Return resolved settings, face detector, plans, and why participants are excluded."""
    settings = limit_band(settings, recordings.pass_band_hz, progress)
    detector, note = choose_detector(settings.faces)
    for message in (*recordings.notes(), *([note] if note else [])):
        progress.note(message)
    for warning in average_reference(recordings.channels)[1] if recordings.channels else ():
        progress.note(warning, "warning")
    plans, excluded = plan_participants(recordings, out, settings, detector, progress)
    return settings, detector, plans, excluded


def _contexts(
    plans: Sequence[ParticipantPlan],
    recordings: Recordings,
    out: Path,
    settings: Settings,
    detector: str,
    lock_token: str,
) -> list[JobContext]:
    """Return the contexts of the participants whose files are not up to date."""
    folder = settings.faces.weights_dir
    weights_dir = folder and str(Path(folder).expanduser().absolute())
    faces = settings.faces.model_copy(update={"detector": detector, "weights_dir": weights_dir})
    settings = settings.model_copy(update={"faces": faces})
    return [
        JobContext(recordings, plan, out.absolute(), settings, lock_token)
        for plan in plans
        if not plan.unchanged
    ]


def _update_index(
    out: Path,
    settings: Settings,
    plans: Sequence[ParticipantPlan],
    data_set: str,
    progress: Progress,
) -> None:
    names = [plan.participant for plan in plans]
    removed = update_index(out, stored_settings(settings), names, data_set)
    if removed:
        progress.note(
            f"{', '.join(removed)}: prepared with other settings and therefore removed from the "
            "index of the store; the files are kept. Prepare all participants with the same "
            "settings to include them.",
            "warning",
        )


def _report_findings(out: Path, progress: Progress) -> None:
    findings = validate_store(out, deep=False)
    for finding in findings[:_MAX_FINDINGS]:
        message = f"{finding.where}: {finding.message} {finding.hint}"
        progress.note(message, "warning" if finding.severity == "error" else "info")
    n_more = len(findings) - _MAX_FINDINGS
    if n_more > 0:
        progress.note(f"{n_more} more findings: `milmer inspect {out}` shows the coverage.")

"""The data of a manifest as an EEG-BIDS data set, with videos as in the draft BEP047.

mne-bids copies the EEG files and writes their sidecars; the tables that it cannot know (trials,
starts of videos) are written here.
"""

from __future__ import annotations

import contextlib
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from milmer_cli.datasets.bids.layout import EEG_FORMATS
from milmer_cli.datasets.bids.listing import PARTICIPANT_COLUMN, SESSION_COLUMN
from milmer_cli.datasets.bids.names import require_label
from milmer_cli.datasets.bids.sessions import (
    EVENT_COLUMNS,
    UNKNOWN_START,
    PlannedRecording,
    PlannedVideo,
    event_rows,
    plan_recordings,
    plan_videos,
    scan_rows,
)
from milmer_cli.datasets.bids.signals import EOG_PROPERTY, channel_rows, unlisted_types
from milmer_cli.datasets.bids.tables import names_text, read_tsv, tsv_text
from milmer_cli.datasets.findings import Findings
from milmer_cli.datasets.manifest import COLUMNS, manifest_errors
from milmer_cli.datasets.manifest_eeg import row_options
from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.datasets.missing import MissingInput, group_missing, missing_rows
from milmer_cli.datasets.read_options import read_options
from milmer_cli.datasets.table import TableRow, read_table
from milmer_cli.eeg.channels import find_derivations
from milmer_cli.eeg.io import AS_RECORDED, open_eeg
from milmer_cli.eeg.units import header_units
from milmer_cli.errors import InputError, first_line
from milmer_cli.io import atomic_folder, atomic_write
from milmer_cli.json_files import read_json_object, write_json
from milmer_cli.partial_files import remove_tree
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings.schema import DataSettings
from milmer_cli.stage_result import StageResult

_TASK = "write"


@dataclass(frozen=True, repr=False)
class BidsWriteResult(StageResult):
    """A data set that was written.

    Attributes
    ----------
    root
        Its folder.
    participants, recordings, videos, trials
        Numbers of what it contains.
    missing
        What was left out.
    findings
        What was decided, one sentence each.
    """

    format_name: ClassVar[str] = "manifest-to-bids"

    root: Path
    participants: int
    recordings: int
    videos: int
    trials: int
    missing: tuple[MissingInput, ...]
    findings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def summary(self) -> list[tuple[str, str]]:
        """Return rows of label and value."""
        counts = (
            f"{self.trials} trials of {self.participants} participants, {self.recordings} "
            f"recordings, {self.videos} videos"
        )
        return [
            ("BIDS", counts),
            *missing_rows(group_missing(self.missing)),
            *(("finding", sentence) for sentence in self.findings),
            ("then", f"milmer manifest bids {self.root} --check"),
            ("data set", str(self.root)),
        ]


def write_bids(
    manifest: Path, out: Path, settings: DataSettings, task: str, progress: Progress = SILENT
) -> BidsWriteResult:
    """Write the data of a manifest as a BIDS data set.

    Dates and names are not removed. The folder appears under its name only when it is complete.

    Parameters
    ----------
    manifest
        The manifest.
    out
        Folder of the data set; must not exist.
    settings
        ``participants``.
    task
        Label of the task.
    progress
        Advances by recordings.

    Raises
    ------
    InputError
        mne-bids is not installed, ``out`` exists, the manifest has errors, or no trial has EEG.
    MilmerError
        Writing failed, for example because the disk is full.
    """
    mne_bids = _mne_bids()
    require_label(task, "--task")
    if read_options(settings) != AS_RECORDED:
        raise InputError(
            "Other names or units of channels (data.eeg_channels, data.channels_file, "
            "data.eeg_unit) cannot be written as BIDS, because the EEG files are copied.",
            "Remove these settings.",
        )
    if out.exists() or out.is_symlink():
        raise InputError(f"{out} exists.", "Remove it, or choose another folder.")
    recordings = ManifestRecordings(manifest, settings.participants)
    findings = Findings()
    for name, error in recordings.problems().items():
        findings.add_error(f"EEG of {name}", error)
    planned = plan_recordings(recordings.rows())
    if not planned:
        raise InputError(f"No trial of {manifest} can be read.", "Check its rows.")
    cells = {row.line: row for row in read_table(manifest_errors(manifest), (), COLUMNS)}
    with atomic_folder(out) as folder:
        writer = _Writer(mne_bids, folder, task, cells, findings)
        progress.start(_TASK, len(planned), "recordings")
        for recording in planned:
            writer.write_recording(recording)
            progress.advance(_TASK)
        progress.done(_TASK)
        if not writer.written:
            raise InputError(
                f"No recording of {manifest} can be written: {findings.last()}", "Check its files."
            )
        writer.write_tables(manifest.stem)
    written = writer.written
    return BidsWriteResult(
        out,
        len({recording.participant for recording in written}),
        len(written),
        writer.n_videos,
        sum(len(recording.rows) for recording in written),
        tuple(findings.missing),
        findings.sentences(),
    )


def _mne_bids() -> ModuleType:
    try:
        import mne_bids
    except ImportError as error:
        raise InputError(
            "Writing BIDS needs the package mne-bids, which is not installed.",
            "Install it with: pip install 'milmer-cli[bids]'",
        ) from error
    module: ModuleType = mne_bids
    return module


class _Writer:
    """Writes the recordings of a data set into a folder.

    Parameters
    ----------
    mne_bids
        The package.
    root
        The folder.
    task
        Label of the task.
    cells
        Number of a row of the manifest -> its cells.
    findings
        Receives what was decided.

    Attributes
    ----------
    written
        The recordings that were written.
    n_videos
        Number of videos that were copied.
    """

    def __init__(
        self,
        mne_bids: ModuleType,
        root: Path,
        task: str,
        cells: dict[int, TableRow],
        findings: Findings,
    ) -> None:
        self._mne_bids = mne_bids
        self._root = root
        self._task = task
        self._cells = cells
        self._findings = findings
        self._scans: dict[Path, list[dict[str, object]]] = {}
        self.written: list[PlannedRecording] = []
        self.n_videos = 0

    def write_recording(self, recording: PlannedRecording) -> None:
        """Write the EEG file, its sidecars, its events and its videos, or report why it cannot."""
        folder, stem = self._root / recording.folder, recording.stem(self._task)
        videos = plan_videos(recording, self._task)
        if recording.eeg is None:
            self._add_scans(recording, scan_rows(videos))
        else:
            try:
                self._write_eeg(recording, recording.eeg, videos)
            except InputError as error:
                self._findings.add_error(recording.eeg.name, error)
                for path in folder.glob(f"*/{stem}_*"):
                    path.unlink()
                if recording.folder not in self._scans:  # it contains nothing else
                    remove_tree(folder)
                    if recording.session is not None:
                        with contextlib.suppress(OSError):  # it can have other sessions
                            folder.parent.rmdir()
                return
        data = folder / ("beh" if recording.eeg is None else "eeg")
        events = event_rows(recording, videos, self._cells)
        atomic_write(data / f"{stem}_events.tsv", tsv_text(events))
        described = {name: {"Description": EVENT_COLUMNS[name]} for name in list(events[0])[2:]}
        write_json(data / f"{stem}_events.json", described)
        self._copy_videos(folder / "beh", videos)
        self.written.append(recording)

    def _write_eeg(
        self, recording: PlannedRecording, eeg: Path, videos: Sequence[PlannedVideo]
    ) -> None:
        first = recording.rows[0]
        raw = open_eeg(eeg, row_options(first, AS_RECORDED))
        eog = find_derivations(first.eog, raw.ch_names, str(eeg))
        types = unlisted_types(raw, first.eeg_channels, eeg)
        types |= {name: "eog" for pair in eog for name in pair}
        raw.set_channel_types(types, on_unit_change="ignore", verbose="error")
        eeg_file = self._copy_eeg(recording, eeg, raw)
        start = raw.info["meas_date"]
        if start is None:
            self._findings.add(
                f"Recordings without a date have the acq_time {UNKNOWN_START:%Y-%m-%d}, which only "
                "relates them to their videos ({}).",
                [eeg_file.name],
            )
        scans = scan_rows(videos, f"eeg/{eeg_file.name}", start or UNKNOWN_START)
        self._add_scans(recording, scans)
        stem = eeg_file.with_name(recording.stem(self._task))
        channels = channel_rows(raw, header_units(raw, eeg))
        atomic_write(stem.with_name(f"{stem.name}_channels.tsv"), tsv_text(channels))
        if first.eog:
            document = stem.with_name(f"{stem.name}_eeg.json")
            write_json(document, {**read_json_object(document), EOG_PROPERTY: list(first.eog)})

    def _copy_eeg(self, recording: PlannedRecording, eeg: Path, raw: Any) -> Path:
        """Copy the EEG file, or convert it to BDF if BIDS or mne-bids does not accept it."""
        path = self._mne_bids.BIDSPath(
            subject=recording.participant,
            session=recording.session,
            task=self._task,
            run=None if recording.run is None else f"{recording.run:02d}",
            datatype="eeg",
            root=self._root,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its warnings are about sidecars that are written here
            if eeg.suffix.lower() in EEG_FORMATS and not raw.preload:
                # what MNE reads only with the corrections of `open_eeg` is converted
                with contextlib.suppress(OSError, RuntimeError, ValueError):
                    return Path(self._mne_bids.write_raw_bids(raw, path, verbose="error").fpath)
            self._findings.add(
                "EEG files that cannot be copied as they are are converted to BDF with 24 bits "
                "({}).",
                [eeg.name],
            )
            try:
                raw.load_data(verbose="error")
                written = self._mne_bids.write_raw_bids(
                    raw, path, format="BDF", allow_preload=True, overwrite=True, verbose="error"
                )
            except (RuntimeError, ValueError) as error:
                raise InputError(
                    f"{eeg} cannot be written as BIDS ({first_line(error).rstrip('.')}), so its "
                    "trials are left out.",
                    "Export it as EDF, BDF or BrainVision.",
                ) from error
        return Path(written.fpath)

    def _add_scans(self, recording: PlannedRecording, rows: list[dict[str, object]]) -> None:
        self._scans.setdefault(recording.folder, []).extend(rows)

    def _copy_videos(self, folder: Path, videos: Sequence[PlannedVideo]) -> None:
        for video in videos:
            folder.mkdir(exist_ok=True)
            shutil.copyfile(video.source, folder / video.name)
            document = (folder / video.name).with_suffix(".json")
            write_json(document, {"TaskName": self._task})
            self.n_videos += 1

    def write_tables(self, name: str) -> None:
        """Write the tables of the data set, of its participants and of their sessions."""
        for folder, rows in self._scans.items():
            labels = "_".join(folder.parts)
            atomic_write(self._root / folder / f"{labels}_scans.tsv", tsv_text(rows))
        participants = {f"sub-{r.participant}": r.rows[0].participant for r in self.written}
        table = self._root / "participants.tsv"
        written = read_tsv(table, "participant_id")[0] if table.exists() else []
        known = {row.text("participant_id"): row.cells for row in written}
        rows = [
            {"participant_id": label, **known.get(label, {}), PARTICIPANT_COLUMN: stated}
            for label, stated in participants.items()
        ]
        atomic_write(table, names_text(rows, "participant_id", PARTICIPANT_COLUMN))
        for label in participants:
            own = [r for r in self.written if r.session and f"sub-{r.participant}" == label]
            sessions = {f"ses-{r.session}": r.rows[0].session for r in own}
            rows = [{"session_id": key, SESSION_COLUMN: text} for key, text in sessions.items()]
            if rows:
                text = names_text(rows, "session_id", SESSION_COLUMN)
                atomic_write(self._root / label / f"{label}_sessions.tsv", text)
        self._mne_bids.make_dataset_description(
            path=self._root, name=name, overwrite=True, verbose="error"
        )

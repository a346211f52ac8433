"""Write the model of a run as a bundle for others, and upload it."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from milmer_cli.bundle.card import Evaluation, read_evaluation
from milmer_cli.bundle.contents import SYNTHETIC, Bundle
from milmer_cli.bundle.hub import push_files, require_repository
from milmer_cli.bundle.model_names import DEMO, HUB
from milmer_cli.bundle.onnx_export import export_onnx
from milmer_cli.bundle.resolve import open_bundle
from milmer_cli.bundle.write import export_bundle
from milmer_cli.errors import InputError
from milmer_cli.progress import SILENT, Progress
from milmer_cli.stage_result import StageResult


@dataclass(frozen=True, repr=False)
class ExportResult(StageResult):
    """What was exported.

    Attributes
    ----------
    model
        Name of the model; see `Bundle.name`.
    headline
        Result on the test set of the model.
    files
        Path, or name in the repository -> bytes.
    weights_sha256
        SHA-256 of the weights.
    synthetic
        Whether the model was trained on synthetic data.
    to
        Folder or file that was written; None if the model was only uploaded.
    onnx
        Whether it contains ONNX files and no bundle.
    repository, commit, public
        Where it was uploaded; the commit is empty after a dry run. Empty without an upload.
    """

    format_name: ClassVar[str] = "export"

    model: str
    headline: str
    files: Mapping[str, int]
    weights_sha256: str
    synthetic: bool
    to: Path | None = None
    onnx: bool = False
    repository: str = ""
    commit: str = ""
    public: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the output of ``--json``."""
        return {
            "model": self.model,
            "to": None if self.to is None else str(self.to),
            "onnx": self.onnx,
            "repository": self.repository or None,
            "commit": self.commit or None,
            "public": self.public,
            "headline": self.headline,
            "synthetic": self.synthetic,
            "weights_sha256": self.weights_sha256,
            "files": dict(self.files),
        }

    def summary(self) -> list[tuple[str, str]]:
        """Return the printed rows of label and value."""
        rows = [("model", self.model), ("test set", self.headline)]
        if self.synthetic:
            rows.append(("training data", "synthetic: the output of the model has no meaning"))
        if self.repository:
            visibility = "public" if self.public else "private"
            state = f"commit {self.commit}" if self.commit else "dry run: nothing was uploaded"
            rows.append(("repository", f"{self.repository} ({visibility}); {state}"))
        rows += [(name, f"{size:,} bytes") for name, size in self.files.items()]
        if self.commit:
            rows.append(("use", f"milmer predict --model hf:{self.repository}@{self.commit[:12]}"))
        elif self.to is not None and not self.onnx:
            rows.append(("use", f"milmer predict --model {_as_argument(self.to)}"))
        return rows


def _as_argument(path: Path) -> str:
    """Return a path for a shell, and as no name of another model."""
    name = str(path)
    is_reserved = name == DEMO or name.startswith(HUB)
    return shlex.quote(f"./{name}" if is_reserved else name)


def export(
    model: Path | str,
    to: Path | str,
    *,
    evaluation: Path | str | None = None,
    progress: Progress = SILENT,
) -> ExportResult:
    """Write a verified copy of the bundle of a run.

    Parameters
    ----------
    model
        A run folder, or any other model that `load_model` accepts.
    to
        A folder, or a file that ends in ``.zip``. An earlier export there is replaced.
    evaluation
        Output folder of `milmer evaluate` on the store of the model, whose shortcut verdict is
        stated in the model card.
    progress
        Receives notes.

    Raises
    ------
    InputError
        There is no such model, it is damaged, or ``to`` contains something else.
    """
    bundle, verdict = _open(model, evaluation, progress)
    written = export_bundle(bundle, Path(to), verdict)
    sizes = {str(path): path.stat().st_size for path in written}
    return _result(bundle, sizes, to=Path(to))


def export_onnx_files(
    model: Path | str, out: Path | str, *, progress: Progress = SILENT
) -> ExportResult:
    """Write the model of a run as ONNX files.

    Parameters
    ----------
    model, progress
        As for `export`.
    out
        The folder. Files of an earlier export there are replaced.

    Raises
    ------
    InputError
        There is no such model, it is damaged, or the extra ``onnx`` is not installed.
    SettingsError
        The model depends on the EEG of a whole recording.
    """
    bundle, _ = _open(model, None, progress)
    settings = bundle.settings.model
    written = export_onnx(
        bundle.load_model(),
        bundle.face_size,
        Path(out),
        bundle.document.to_json(),
        recording_amplitude=settings.transductive and settings.eeg_alignment == "none",
    )
    sizes = {str(path): path.stat().st_size for path in written}
    return _result(bundle, sizes, to=Path(out), onnx=True)


def push(
    model: Path | str,
    repository: str,
    *,
    public: bool = False,
    dry_run: bool = False,
    evaluation: Path | str | None = None,
    progress: Progress = SILENT,
) -> ExportResult:
    """Upload a verified copy of the bundle of a run to the Hugging Face Hub.

    Parameters
    ----------
    model, evaluation, progress
        As for `export`.
    repository
        ``USER/NAME``; created if there is none.
    public
        Whether everybody can read it.
    dry_run
        List the files, and use no network.

    Raises
    ------
    InputError
        There is no such model, the user is not logged in, or has no permission.
    MilmerError
        The Hub cannot be reached.
    """
    require_repository(repository)
    bundle, verdict = _open(model, evaluation, progress)
    with tempfile.TemporaryDirectory() as folder:
        written = export_bundle(bundle, Path(folder) / "bundle", verdict)
        sizes = {path.name: path.stat().st_size for path in written}
        commit = ""
        if not dry_run:
            commit = push_files(repository, {path.name: path for path in written}, public)
    return _result(bundle, sizes, repository=repository, commit=commit, public=public)


def _open(
    model: Path | str, evaluation: Path | str | None, progress: Progress
) -> tuple[Bundle, Evaluation | None]:
    bundle = open_bundle(model, progress)
    if bundle.synthetic:
        progress.note(SYNTHETIC, "warning")
    if evaluation is None:
        return bundle, None
    if not Path(evaluation).is_dir():
        raise InputError(
            f"The evaluation {evaluation} does not exist.",
            "Give the output folder of `milmer evaluate`.",
        )
    return bundle, read_evaluation(Path(evaluation), bundle.document)


def _result(bundle: Bundle, files: Mapping[str, int], **values: Any) -> ExportResult:
    return ExportResult(
        model=bundle.name,
        headline=str(bundle.metrics()["headline"]),
        files=files,
        weights_sha256=bundle.weights_digest,
        synthetic=bundle.synthetic,
        **values,
    )

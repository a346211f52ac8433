"""A table of predictions -> leaks, honest scores and a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from milmer_cli.audit.leaks import DESCRIPTIONS
from milmer_cli.audit.result import AuditRequest, AuditResult, audit_predictions
from milmer_cli.folder_lock import FolderLock
from milmer_cli.formats import write_document
from milmer_cli.io import atomic_write
from milmer_cli.metrics import ResamplingOptions
from milmer_cli.progress import SILENT
from milmer_cli.run_log import RunLog
from milmer_cli.settings import load_settings
from milmer_cli.stage_result import StageResult

DOCUMENT, PAGE = "audit.json", "report.html"
NOT_CHECKED = "not checked: add a column fold or a split table"


@dataclass(frozen=True, eq=False, repr=False)
class AuditOutput(StageResult):
    """Result of `audit`: the audit and where it was written."""

    format_name: ClassVar[str] = "audit"

    out: Path
    result: AuditResult

    @property
    def complete(self) -> bool:
        """Whether no leak was found."""
        return not self.result.leaky

    def to_json(self) -> dict[str, Any]:
        """Values of the JSON document."""
        return self.result.to_json()

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value for the console."""
        result = self.result
        rows = [("result", result.headline)]
        rows += [
            ("leak", f"{leak.kind}: {leak.count} {DESCRIPTIONS[leak.kind]} ({leak.where})")
            for leak in result.leaks
        ] or [("leaks", "none found" if result.training_known else NOT_CHECKED)]
        rows += [("undefined", f"{name}: {text}") for name, text in result.scores.undefined.items()]
        rows += [("compared", comparison.sentence) for comparison in result.comparisons]
        rows += [
            ("verdict", result.verdict),
            ("document", str(self.out / DOCUMENT)),
            ("page to open", str(self.out / PAGE)),
        ]
        return rows


def audit(
    request: AuditRequest | Path | str,
    out: Path | str,
    options: ResamplingOptions | None = None,
) -> AuditOutput:
    """Audit a table of predictions, and write a JSON document and a page.

    Parameters
    ----------
    request
        The files and how to read them, or the path of the predictions.
    out
        Folder for ``audit.json`` and ``report.html``.
    options
        Options of intervals and p-values; by default those of `load_settings`.

    Raises
    ------
    InputError
        A file cannot be read, or a cell has no usable value.
    """
    from milmer_cli.reports.audit import audit_page  # here: matplotlib is slow to import

    out = Path(out)
    if isinstance(request, str | Path):
        request = AuditRequest(Path(request))
    options = options or ResamplingOptions.from_settings(load_settings(), "trial")
    with RunLog(SILENT) as log:
        result = audit_predictions(request, options)
        with FolderLock(out, f"The audit in {out} is being written"):
            log.open(out)
            write_document(out / DOCUMENT, AuditOutput.format_name, result.to_json())
            atomic_write(out / PAGE, audit_page(result))
        return log.record(AuditOutput(out, result))

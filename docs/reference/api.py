"""The public Python API, from its docstrings. Sphinx imports the objects when it builds."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from reference.page import Page, table_of_contents


@dataclass(frozen=True)
class ApiPage:
    """A page of the Python API.

    Attributes
    ----------
    name, title, text
        File name without extension, title, and introduction in reStructuredText.
    objects
        Full names of functions and classes, in order.
    """

    name: str
    title: str
    text: str
    objects: tuple[str, ...]


PAGES = (
    ApiPage(
        "api-predict",
        "Load a model and predict",
        "``load_model`` returns a `TrainedModel`, which predicts any number of recordings.",
        (
            "milmer_cli.load_model",
            "milmer_cli.stages.predict.load_model",
            "milmer_cli.stages.predict.TrainedModel",
            "milmer_cli.stages.predict.predict",
            "milmer_cli.stages.predict_batch.predict_batch",
            "milmer_cli.prediction.request.Request",
            "milmer_cli.prediction.request.Outputs",
            "milmer_cli.prediction.result.PredictResult",
            "milmer_cli.prediction.result.SegmentPrediction",
            "milmer_cli.prediction.batch.BatchResult",
            "milmer_cli.bundle.contents.Bundle",
        ),
    ),
    ApiPage(
        "api-stages",
        "Stages and their results",
        "One function per command. The results are printed by the commands, and are returned here.",
        (
            "milmer_cli.stages.prepare.prepare",
            "milmer_cli.stages.prepare.prepare_dry_run",
            "milmer_cli.preparation.result.PrepareResult",
            "milmer_cli.preparation.result.PrepareDryRunResult",
            "milmer_cli.stages.inspect.inspect",
            "milmer_cli.inspection.result.InspectionResult",
            "milmer_cli.stages.finetune_swin.finetune_swin",
            "milmer_cli.fer.result.FinetuneResult",
            "milmer_cli.stages.train.train",
            "milmer_cli.stages.train.train_dry_run",
            "milmer_cli.training.result.TrainResult",
            "milmer_cli.training.dry_run.DryRunResult",
            "milmer_cli.stages.evaluate.evaluate",
            "milmer_cli.stages.evaluate.evaluate_dry_run",
            "milmer_cli.stages.evaluate.EvaluateResult",
            "milmer_cli.stages.evaluate_run.evaluate_run",
            "milmer_cli.stages.audit.audit",
            "milmer_cli.stages.audit.AuditOutput",
            "milmer_cli.stages.export.export",
            "milmer_cli.stages.export.export_onnx_files",
            "milmer_cli.stages.export.push",
            "milmer_cli.stages.export.ExportResult",
            "milmer_cli.stage_result.StageResult",
        ),
    ),
    ApiPage(
        "api-settings",
        "Settings, errors and progress",
        "Every setting is documented in :doc:`settings`.",
        (
            "milmer_cli.settings.load_settings",
            "milmer_cli.settings.dump_yaml",
            "milmer_cli.errors.MilmerError",
            "milmer_cli.errors.InputError",
            "milmer_cli.errors.SettingsError",
            "milmer_cli.errors.WeightsError",
            "milmer_cli.progress.Progress",
        ),
    ),
    ApiPage(
        "api-store",
        "Prepared store and data sets",
        "The format of the files is described in :doc:`store`.",
        (
            "milmer_cli.store.PreparedStore",
            "milmer_cli.store.PreparedParticipant",
            "milmer_cli.store.Segments",
            "milmer_cli.store.validate_store",
            "milmer_cli.store.validate.Finding",
            "milmer_cli.data.prepared_dataset.PreparedDataset",
            "milmer_cli.training.run_dir.Run",
        ),
    ),
    ApiPage(
        "api-model",
        "Model",
        "The equations are explained in :doc:`model`.",
        (
            "milmer_cli.models.MilmerModel",
            "milmer_cli.models.MilmerConfig",
            "milmer_cli.models.MilmerOutput",
            "milmer_cli.models.load_backbone",
        ),
    ),
    ApiPage(
        "api-metrics",
        "Metrics",
        "Scores with intervals for predictions of any model; see :doc:`intervals`.",
        (
            "milmer_cli.metrics.score",
            "milmer_cli.metrics.headline",
            "milmer_cli.metrics.SegmentPredictions",
            "milmer_cli.metrics.ResamplingOptions",
            "milmer_cli.metrics.Scores",
            "milmer_cli.metrics.Estimate",
            "milmer_cli.metrics.MajorityRates",
            "milmer_cli.metrics.Chance",
        ),
    ),
)
INHERITED = {"milmer_cli.models.MilmerModel": "from_published, forward"}
"""Members to document of classes whose other members are those of a library."""


def api_pages() -> list[Page]:
    """Return a page that lists the pages of the Python API, and these pages."""
    pages = [Page(f"{page.name}.rst", page.title, _text(page), listed=False) for page in PAGES]
    rows = "\n".join(f"- [{page.title}]({page.name})" for page in pages)
    text = (
        "# Python API\n\nGenerated from the docstrings. [Python](python.md) shows how the parts "
        f"are used together.\n\n{rows}\n\n" + table_of_contents([page.name for page in pages])
    )
    return [Page("api.md", "Python API", text), *pages]


def _text(page: ApiPage) -> str:
    parts = [f"{page.title}\n{'=' * len(page.title)}\n", f"{page.text}\n"]
    for name in page.objects:
        parts += [_heading(name), _directive(name)]
    return "\n".join(parts)


def _heading(name: str) -> str:
    title = name.rpartition(".")[2]
    return f"{title}\n{'-' * len(title)}\n"


def _directive(name: str) -> str:
    module, _, attribute = name.rpartition(".")
    if not isinstance(getattr(import_module(module), attribute), type):
        return f".. autofunction:: {name}\n"
    members = INHERITED.get(name, "")
    return f".. autoclass:: {name}\n   :members: {members}\n".rstrip() + "\n"

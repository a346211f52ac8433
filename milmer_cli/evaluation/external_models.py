"""Compared models that are not part of Milmer: networks for EEG, and pretrained encoders.

They are named ``braindecode:CLASS`` or ``MODULE:CLASS`` (networks, trained with the budget of the
model), ``braindecode:CLASS@WEIGHTS`` or ``face:WEIGHTS`` (encoders with a linear classifier).
"""

from __future__ import annotations

from milmer_cli.errors import SettingsError
from milmer_cli.evaluation.baselines import Method, ModelSpec
from milmer_cli.settings import Settings
from milmer_cli.settings.baseline_names import FACE, is_encoder, is_external, split_names
from milmer_cli.settings.schema import Modalities


def external_specs(settings: Settings, has_eeg: bool, has_faces: bool) -> list[ModelSpec]:
    """List the networks and encoders that ``evaluate.baselines`` names.

    Parameters
    ----------
    settings
        Resolved settings of the model: a network is trained with the same budget.
    has_eeg, has_faces
        Whether the store contains any EEG and any faces.

    Raises
    ------
    SettingsError
        A model needs a modality that the store lacks.
    """
    specs = []
    for name in filter(is_external, split_names(settings.evaluate.baselines)):
        modality: Modalities = "face" if name.startswith(f"{FACE}:") else "eeg"
        if not (has_faces if modality == "face" else has_eeg):
            raise SettingsError(
                f"evaluate.baselines: {name} needs "
                f"{'faces' if modality == 'face' else 'EEG'}, which the store does not contain.",
                "Leave it out.",
            )
        method: Method = "encoder" if is_encoder(name) else "network"
        model = settings.model.model_copy(update={"modalities": modality})
        changed = settings.model_copy(update={"model": model})
        specs.append(ModelSpec(name, method, changed, name))
    return specs

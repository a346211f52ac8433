"""The model: tensors in, tensors out; no files, devices or rows.

- ``backbone``: Swin and SwinV2, from a folder, the hub or nothing (`load_backbone`)
- ``config``: `MilmerConfig`
- ``selection``: which instances of a bag are kept
- ``fusion``: how their tokens are balanced against the EEG's
- ``encoder``: where CLS, face and EEG tokens meet
- ``output``: `MilmerOutput`
- ``milmer``: `MilmerModel`; registered with ``AutoConfig`` and ``AutoModel``
- ``published``: checkpoints of the original code (`MilmerModel.from_published`)
- ``build``: from the settings to a model (`build_model`)
"""

from milmer_cli.model.backbone import backbone_config, load_backbone
from milmer_cli.model.build import build_model
from milmer_cli.model.config import MilmerConfig
from milmer_cli.model.milmer import MilmerModel
from milmer_cli.model.output import MilmerOutput

__all__ = [
    "MilmerConfig",
    "MilmerModel",
    "MilmerOutput",
    "backbone_config",
    "build_model",
    "load_backbone",
]

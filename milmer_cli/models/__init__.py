"""The Milmer model, with the file names of Hugging Face transformers.

In data-flow order:

- `library_messages`: messages, progress bars and downloads of other libraries
- `pretrained_files`: configuration and weights of a model folder, without running code from it
- `image_features`: the tokens of an image from any image model of transformers
- `face_crop`: how the images of a fine-tuned backbone were cropped
- `transformers_processor`: what the image processors of transformers do to sizes and colors
- `image_processor`: size and normalization of the images of a backbone
- `backbones`: load backbones
- `configuration_milmer`: `MilmerConfig`
- `eeg_alignment`: the map of the EEG channels that is saved with a model
- `eeg_amplitude`: amplitude features of the EEG channels, which LayerNorm removes from the tokens
- `mil`: select or pool the face images of a bag (attention-based multiple-instance learning)
- `fusion`: balance the selected face tokens against the EEG tokens
- `encoder`: the transformer encoder over the CLS, face and EEG tokens
- `openvino_backbone`: run a backbone with OpenVINO in inference on a CPU
- `face_encoder`: run the backbone on face images, with or without gradients
- `inputs`: check the inputs of the model, and drop modalities and EEG channels in training
- `modeling_milmer`: `MilmerModel` and `MilmerOutput`, registered with ``AutoModel``
- `convert_original`: load checkpoints of the original code (`MilmerModel.from_published`)
- `build_model`: `build_model`, a new model from the settings
- `eeg_network`: any EEG network with the interface of `MilmerModel`, as a baseline
- `eeg_encoder`: pretrained EEG encoders of braindecode as frozen feature extractors

To add a selection or a fusion: see `mil` and `fusion`. Any image model of transformers can be the
backbone; see `image_features`.
"""

from milmer_cli.models.backbones import load_backbone
from milmer_cli.models.build_model import build_model
from milmer_cli.models.configuration_milmer import MilmerConfig
from milmer_cli.models.modeling_milmer import MilmerModel, MilmerOutput

__all__ = [
    "MilmerConfig",
    "MilmerModel",
    "MilmerOutput",
    "build_model",
    "load_backbone",
]

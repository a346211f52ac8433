"""Encode face images with the backbone of a model, with or without gradients."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from milmer_cli.models.configuration_milmer import MilmerConfig
from milmer_cli.models.image_features import image_tokens
from milmer_cli.models.image_processor import preprocess_images
from milmer_cli.models.openvino_backbone import active_engine

PIXELS_PER_PASS = {"cpu": 8 * 224**2}
"""Pixels of one backbone pass without gradients, by device. On a CPU the activations of 8 images
fit into the caches, which is fastest (bench/README.md)."""
DEFAULT_PIXELS_PER_PASS = 64 * 224**2


class FaceEncoderModel(PreTrainedModel):
    """Base class of `MilmerModel`: a model with a backbone for face images.

    Attributes
    ----------
    images_per_pass : int
        Images of one backbone pass without gradients; 0 (default) selects it by the device.
    """

    config: MilmerConfig
    backbone: Any
    cls_token: nn.Parameter
    image_mean: Tensor
    image_std: Tensor
    images_per_pass: int = 0

    def freeze_backbone(self) -> None:
        """Exclude the backbone from training, and keep it in evaluation mode."""
        if self.backbone is not None:
            self.backbone.requires_grad_(False)
            self.backbone.eval()

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all modules except a frozen backbone."""
        super().train(mode)
        if self.backbone is not None and not self._backbone_is_trainable():
            self.backbone.eval()
        return self

    def encode_faces(self, faces: Tensor, found: Tensor, mean: bool = False) -> Tensor:
        """Run the backbone on the found faces.

        Parameters
        ----------
        faces : (B, J, H, W, 3) uint8
        found : (B, J) bool
        mean
            Return only the mean token of each face.

        Returns
        -------
        Tensor
            (B, J, N, d), or (B, J, d) with ``mean``; zeros for a missing face.
        """
        images = faces[found]  # (n, H, W, 3)
        config = self.config
        # Without gradients, nothing needs to be kept: run the images in chunks. Together with
        # ``mean`` the peak memory then does not depend on the size of the batch.
        size = len(images) if self._backbone_needs_gradient() else self._pass_size()
        outputs = []
        for chunk in images.split(max(size, 1)):
            if len(chunk):
                output = self._backbone_tokens(self._pixel_values(chunk))
                outputs.append(output.mean(1) if mean else output)
        shape = (config.hidden_size,) if mean else (config.tokens_per_face, config.hidden_size)
        if not outputs:
            return self.cls_token.new_zeros(*found.shape, *shape)
        encoded = torch.cat(outputs)
        return encoded.new_zeros(*found.shape, *shape).index_put((found,), encoded)

    def _backbone_tokens(self, pixels: Tensor) -> Tensor:
        """Map (n, 3, height, width) to (n, N, d), with the engine of the context in inference."""
        engine = None if self.training or torch.is_grad_enabled() else active_engine(self.backbone)
        return image_tokens(self.backbone, pixels) if engine is None else engine.tokens(pixels)

    def _pass_size(self) -> int:
        height, width = self.config.image_size
        pixels = PIXELS_PER_PASS.get(self.cls_token.device.type, DEFAULT_PIXELS_PER_PASS)
        if active_engine(self.backbone) is not None:  # each thread runs images of its own
            pixels *= torch.get_num_threads()
        return self.images_per_pass or pixels // (height * width)

    def _pixel_values(self, images: Tensor) -> Tensor:
        """Map (n, H, W, 3) uint8 to the input of the backbone, (n, 3, height, width)."""
        return preprocess_images(images, self.config.image_size, self.image_mean, self.image_std)

    def _backbone_is_trainable(self) -> bool:
        return any(parameter.requires_grad for parameter in self.backbone.parameters())

    def _backbone_needs_gradient(self) -> bool:
        """Return whether a backbone pass now keeps its activations for a backward pass."""
        return (
            self.backbone is not None and torch.is_grad_enabled() and self._backbone_is_trainable()
        )

    def _encode_without_gradient(self, faces: Tensor, found: Tensor, mean: bool) -> Tensor:
        """Encode a bag in evaluation mode without keeping activations."""
        modes = {module: module.training for module in self.backbone.modules()}
        self.backbone.eval()
        try:
            with torch.no_grad():
                return self.encode_faces(faces, found, mean)
        finally:
            for module, mode in modes.items():
                module.training = mode
            # Older versions of torch reuse the weights that autocast cast in this pass, which have
            # no gradient, in the second pass (pytorch issue 158232).
            torch.clear_autocast_cache()

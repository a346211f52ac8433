"""OpenVINO in place of torch for the backbone: equal tokens, one compilation, no telemetry."""

from __future__ import annotations

import contextvars
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import pytest
import torch
from transformers import ConvNextConfig, Dinov2Config, SwinConfig, Swinv2Config, ViTConfig

from milmer_cli.errors import MilmerError
from milmer_cli.models import MilmerConfig, MilmerModel, openvino_backbone
from milmer_cli.models.image_features import create_backbone, image_tokens
from milmer_cli.models.openvino_backbone import OpenVinoBackbone

# importing it here would send its telemetry
if find_spec("openvino") is None:
    pytest.skip("needs the extra openvino", allow_module_level=True)

SIZE = (64, 64)
SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
CONFIGS = {
    "swin": SwinConfig(image_size=64, embed_dim=16, depths=[1, 2], num_heads=[2, 4], window_size=4),
    "swinv2": Swinv2Config(
        image_size=64, embed_dim=16, depths=[1, 2], num_heads=[2, 4], window_size=4
    ),
    "vit": ViTConfig(image_size=64, intermediate_size=64, **SMALL),
    "dinov2": Dinov2Config(image_size=64, **SMALL),
    "convnext": ConvNextConfig(image_size=64, num_stages=2, hidden_sizes=[16, 32], depths=[1, 1]),
}


@pytest.fixture
def no_compiled_models():
    openvino_backbone._compiled.clear()
    yield
    openvino_backbone._compiled.clear()


def random_backbone(name="vit", seed=0):
    torch.manual_seed(seed)
    backbone = create_backbone(CONFIGS[name]).eval()
    with torch.no_grad():  # biases and norms are constants at first
        for parameter in backbone.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return backbone


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("swinv2", "dinov2", "convnext")]


@pytest.mark.parametrize("name", ["swin", "vit", *SLOW])
def test_tokens_equal_those_of_torch_for_any_batch_size(name):
    backbone = random_backbone(name)
    engine = OpenVinoBackbone(backbone, SIZE, 2, required=True)
    for n in (1, 5, 8):
        images = torch.randn(n, 3, *SIZE)
        with torch.inference_mode():
            torch.testing.assert_close(
                engine.tokens(images), image_tokens(backbone, images), atol=1e-5, rtol=1e-5
            )


def test_execution_is_in_float32_with_one_stream_per_thread():
    engine = OpenVinoBackbone(random_backbone(), SIZE, 2, required=True)
    compiled = engine.compile()._model
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
    assert compiled.get_property("NUM_STREAMS") == 2
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 2
    assert compiled.get_property("ENABLE_CPU_PINNING") is False


@pytest.mark.usefixtures("no_compiled_models")
def test_backbone_is_compiled_once_for_equal_weights_and_size(monkeypatch):
    converted = []
    convert = openvino_backbone._convert
    monkeypatch.setattr(
        openvino_backbone, "_convert", lambda *args: converted.append(args) or convert(*args)
    )
    images = torch.randn(2, 3, *SIZE)

    def tokens(backbone):
        engine = OpenVinoBackbone(backbone, SIZE, 1, required=True)
        with torch.inference_mode():
            result = engine.tokens(images)
            torch.testing.assert_close(result, image_tokens(backbone, images), atol=1e-5, rtol=0)
        return len(converted)

    assert tokens(random_backbone()) == 1
    assert tokens(random_backbone()) == 1
    assert tokens(random_backbone(seed=1)) == 2
    changed = random_backbone()
    with torch.no_grad():
        changed.layernorm.bias.add_(1)
    assert tokens(changed) == 3
    assert len(openvino_backbone._compiled) == openvino_backbone.MAX_COMPILED


def test_compiled_backbone_does_not_share_the_memory_of_the_weights():
    backbone = random_backbone()
    engine = OpenVinoBackbone(backbone, SIZE, 1, required=True)
    images = torch.randn(2, 3, *SIZE)
    with torch.inference_mode():
        before = engine.tokens(images)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.zero_()
    with torch.inference_mode():
        assert torch.equal(engine.tokens(images), before)


@pytest.mark.usefixtures("no_compiled_models")
def test_threads_of_one_engine_compile_once_and_do_not_mix_their_images():
    backbone = random_backbone()
    images = torch.randn(12, 1, 3, *SIZE)
    with (
        openvino_backbone.openvino_backbone(backbone, SIZE, required=True),
        ThreadPoolExecutor(4) as pool,
    ):

        def run(row):
            return openvino_backbone.active_engine(backbone).tokens(images[row])

        contexts = [contextvars.copy_context() for _ in images]
        jobs = [pool.submit(each.run, run, row) for row, each in enumerate(contexts)]
        tokens = torch.cat([job.result() for job in jobs])
    assert len(openvino_backbone._compiled) == 1
    with torch.inference_mode():
        expected = image_tokens(backbone, images.flatten(0, 1))
    torch.testing.assert_close(tokens, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.usefixtures("no_compiled_models")
def test_backbone_that_cannot_be_converted_runs_with_torch_or_is_an_error(monkeypatch):
    def fail(*args):
        raise RuntimeError("No conversion rule for aten::new_operation.\nDetails")

    monkeypatch.setattr(openvino_backbone, "_convert", fail)
    backbone, images = random_backbone(), torch.randn(2, 3, *SIZE)
    engine = OpenVinoBackbone(backbone, SIZE, 1, required=False)
    with torch.inference_mode():
        assert torch.equal(engine.tokens(images), image_tokens(backbone, images))
    assert not engine.used
    assert engine.failure == (
        "OpenVINO cannot run the backbone ViTModel: No conversion rule for aten::new_operation. "
        "Details."
    )
    required = OpenVinoBackbone(backbone, SIZE, 1, required=True)
    for _ in range(2):
        with pytest.raises(MilmerError, match="OpenVINO cannot run") as caught:
            required.tokens(images)
        assert caught.value.hint == "Use run.inference=torch."


@pytest.mark.usefixtures("no_compiled_models")
def test_backbone_with_other_tokens_is_refused(monkeypatch):
    convert = openvino_backbone._convert

    def wrong(backbone, size):
        other = random_backbone()
        with torch.no_grad():
            other.layernorm.bias.add_(1e-3)
        return convert(other, size)

    monkeypatch.setattr(openvino_backbone, "_convert", wrong)
    engine = OpenVinoBackbone(random_backbone(), SIZE, 1, required=False)
    assert engine.compile() is None
    assert "its tokens differ by 1.0e-03 from those of torch" in engine.failure


def test_import_leaves_the_telemetry_of_openvino_out():
    openvino_backbone._import_openvino()
    telemetry = sys.modules["openvino.tools.ovc.telemetry_utils"].tm
    assert telemetry.__name__ == "openvino.tools.ovc.telemetry_stub"
    assert "openvino_telemetry" not in sys.modules


def milmer(**options):
    config = MilmerConfig(
        backbone_config=CONFIGS["swin"],
        n_channels=3,
        n_samples=16,
        num_instances=4,
        num_select=2,
        num_heads=4,
        dim_feedforward=32,
        num_layers=1,
        class_names=("a", "b"),
        **options,
    )
    torch.manual_seed(0)
    return MilmerModel(config).eval()


@pytest.mark.parametrize("selection", ["none", "attention_topk", "amil"])
def test_milmer_model_gives_equal_outputs_with_both_engines(selection):
    model = milmer(selection=selection)
    inputs = {
        "eeg": torch.randn(3, 3, 16),
        "faces": torch.randint(0, 256, (3, 4, 70, 70, 3), dtype=torch.uint8),
        "faces_found": torch.tensor([[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]], dtype=torch.bool),
    }
    with torch.inference_mode():
        expected = model(**inputs)
        with openvino_backbone.openvino_backbone(model.backbone, SIZE, required=True) as engine:
            output = model(**inputs)
    assert engine.used
    torch.testing.assert_close(output.logits, expected.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        output.instance_weights, expected.instance_weights, atol=1e-5, rtol=1e-5
    )


def test_training_and_gradients_use_torch():
    model = milmer(selection="none")
    faces = torch.randint(0, 256, (1, 4, *SIZE, 3), dtype=torch.uint8)
    with openvino_backbone.openvino_backbone(model.backbone, SIZE, required=True) as engine:
        model(faces=faces).logits.sum().backward()
        assert next(model.backbone.parameters()).grad is not None
        model.train()
        with torch.no_grad():
            model(faces=faces)
    assert not engine.used

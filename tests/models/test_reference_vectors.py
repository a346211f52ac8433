"""Logits of the published model: recorded outputs, and a NumPy implementation of their README."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from milmer_cli.models import MilmerModel

FUSIONS = ("none", "mlp", "cross_attention")
TOPK = ("attention_topk", "attention_weighted_topk")


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("selection", ["none", "softmax", "amil"])
def test_from_published_reproduces_the_logits(
    fusion: str, selection: str, recipe: SimpleNamespace
) -> None:
    model = MilmerModel.from_published(recipe.state(fusion, selection), selection, fusion)
    with torch.no_grad():
        logits = model(**recipe.inputs()).logits
    expected = recipe.outputs[f"{fusion}/{selection}/logits"]
    np.testing.assert_allclose(logits.numpy(), expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_from_published_reproduces_top_k_at_full_size(recipe: SimpleNamespace) -> None:
    scorer = {k: v for k, v in recipe.state("none", "attention_topk").items() if "topk" in k}
    for fusion in FUSIONS:
        for selection in TOPK:
            state = {**recipe.state(fusion, "none"), **scorer}
            model = MilmerModel.from_published(state, selection, fusion)
            with torch.no_grad():
                output = model(**recipe.inputs())
            key = f"{fusion}/{selection}"
            for value, name in (
                (output.logits, "logits"),
                (output.instance_weights, "scores"),
                (output.selected_indices, "indices"),
            ):
                expected = recipe.outputs[f"{key}/{name}"]
                if (name, selection) == ("scores", "attention_topk"):
                    expected = softmax(
                        expected
                    )  # published before the softmax that ranks nothing anew
                np.testing.assert_allclose(value.numpy(), expected, rtol=0, atol=1e-5, err_msg=key)


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def erf(x: np.ndarray) -> np.ndarray:
    return torch.erf(torch.from_numpy(x)).numpy()


class NumpyMilmer:
    """The published model in NumPy for one sample, written from the README of the vectors."""

    def __init__(self, state: dict[str, torch.Tensor], num_heads: int) -> None:
        self.p = {name: value.double().numpy() for name, value in state.items()}
        self.num_heads = num_heads

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.p[f"{name}.weight"].T + self.p[f"{name}.bias"]

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return x * self.p[f"{name}.weight"] + self.p[f"{name}.bias"]

    def attention(self, name: str, queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
        d = queries.shape[-1]
        w, b = self.p[f"{name}.in_proj_weight"], self.p[f"{name}.in_proj_bias"]
        q, k, v = (
            (x @ w[i * d : (i + 1) * d].T + b[i * d : (i + 1) * d]).reshape(
                len(x), self.num_heads, -1
            )
            for i, x in enumerate((queries, keys, keys))
        )
        scores = softmax(np.einsum("qhc,khc->hqk", q, k) / np.sqrt(d // self.num_heads))
        return self.linear(f"{name}.out_proj", np.einsum("hqk,khc->qhc", scores, v).reshape(-1, d))

    def select(self, selection: str, faces: np.ndarray) -> np.ndarray:
        n, tokens, d = faces.shape
        flat = faces.reshape(n, -1)
        if selection == "none":
            return faces[0]
        if selection == "softmax":
            best = np.argsort(-self.p["instance_weights"][0])[:3]
        elif selection == "amil":
            h = faces.mean(1)
            a = softmax(
                self.linear("amil_weight_proj", np.tanh(self.linear("amil_value_proj", h)))[:, 0]
            )
            return (a @ h)[None]
        else:
            a = softmax(
                self.linear("topk_weight_proj", np.tanh(self.linear("topk_value_proj", flat)))[:, 0]
            )
            if selection == "attention_topk":
                a = self.linear("topk_dimension_recover", (a @ flat)[None])[0]
            best = np.argsort(-a)[:3]
        return faces[best].reshape(3 * tokens, d)

    def logits(self, fusion: str, selection: str, faces: np.ndarray, eeg: np.ndarray) -> np.ndarray:
        kinds = self.p["token_type_embeddings.weight"]
        kept = self.select(selection, faces)
        if fusion == "mlp":
            up = self.linear("mlp_up", kept)
            kept = self.linear("mlp_down", up * 0.5 * (1 + erf(up / np.sqrt(2))))
        elif fusion == "cross_attention":
            kept = self.attention("cross_attention", self.p["query_tokens"][0], kept)
        signal = np.maximum(self.linear("eeg_proj", self.norm("layernorm", eeg)), 0)
        x = np.concatenate([self.p["cls_token"][0], kept + kinds[0], signal + kinds[1]])
        for layer in range(2):
            name = f"transformer_encoder.layers.{layer}"
            x = self.norm(f"{name}.norm1", x + self.attention(f"{name}.self_attn", x, x))
            hidden = np.maximum(self.linear(f"{name}.linear1", x), 0)
            x = self.norm(f"{name}.norm2", x + self.linear(f"{name}.linear2", hidden))
        return self.linear("classifier", x[:1])[0]


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("selection", ["none", "softmax", "amil", *TOPK])
def test_from_published_equals_numpy_at_small_size(
    fusion: str, selection: str, recipe: SimpleNamespace
) -> None:
    state = recipe.state(fusion, selection, d=24, tokens=4, ff=40, samples=16)
    inputs = recipe.inputs(d=24, tokens=4, channels=5, samples=16)
    model = MilmerModel.from_published(state, selection, fusion, tokens_per_face=4)
    with torch.no_grad():
        logits = model(**inputs).logits
    plain = NumpyMilmer(state, num_heads=12)
    expected = [
        plain.logits(fusion, selection, faces, eeg)
        for faces, eeg in zip(
            inputs["face_tokens"].double().numpy(), inputs["eeg"].double().numpy(), strict=True
        )
    ]
    np.testing.assert_allclose(logits.numpy(), expected, rtol=0, atol=1e-5)

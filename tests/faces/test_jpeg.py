"""Encoding of face images."""

import numpy as np

from milmer_cli.faces.jpeg import decode_face, encode_face


def test_encode_face_has_small_error():
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 200, 224)
    face = np.stack(
        [ramp[:, None] + 0 * ramp, 0 * ramp[:, None] + ramp, np.full((224, 224), 90.0)], -1
    )
    face = np.clip(face + rng.normal(0, 3, (224, 224, 1)), 0, 255).astype(np.uint8)

    error = decode_face(encode_face(face)).astype(float) - face

    assert np.sqrt(np.mean(error**2)) < 2
    assert (
        abs(error.mean(axis=(0, 1))).max() < 0.5
    )  # no color shift, so RGB and BGR are not confused

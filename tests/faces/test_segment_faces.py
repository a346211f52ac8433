"""The data class of face images."""

import numpy as np
import pytest

from milmer_cli.faces.segment_faces import FACE_FIELDS, SegmentFaces


def numbered(n_segments, n_instances, first=0):
    """Faces in every instance; images and arrays are numbered."""
    shape = (n_segments, n_instances)
    numbers = first + np.arange(n_segments * n_instances).reshape(shape)
    return SegmentFaces(
        images=[bytes([number]) * 3 for number in numbers.ravel()],
        found=np.ones(shape, bool),
        time=numbers.astype(np.float32),
        box=np.repeat(numbers[..., None], 4, axis=-1).astype(np.float32),
        score=numbers.astype(np.float32),
        reason=np.full(shape, "", object),
    )


def test_segment_faces_missing_gives_the_reason():
    faces = SegmentFaces.missing(2, 3)

    assert not faces.found.any()
    assert faces.images == [b""] * 6
    assert set(faces.reason.ravel()) == {"no video"}
    assert np.isnan(faces.time).all()
    assert np.isnan(faces.box).all()


def test_segment_faces_slices_join_to_the_whole():
    faces = numbered(4, 3)

    joined = SegmentFaces.concatenate([faces[:1], faces[1:]])

    assert len(faces[:1]) == 1
    assert joined.images == faces.images
    for name in FACE_FIELDS:
        np.testing.assert_array_equal(getattr(joined, name), getattr(faces, name))
    assert faces.segment_images(2) == faces.images[6:9]


@pytest.mark.parametrize("change", ["images", "found"])
def test_segment_faces_refuses_images_that_disagree_with_found(change):
    faces = numbered(1, 2)
    images, found = list(faces.images), faces.found.copy()
    if change == "images":
        images[0] = b""
    else:
        found[0, 1] = False

    with pytest.raises(ValueError, match="found must be True"):
        SegmentFaces(images, found, faces.time, faces.box, faces.score, faces.reason)

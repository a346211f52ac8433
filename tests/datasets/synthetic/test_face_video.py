from __future__ import annotations

from dataclasses import replace
from itertools import islice

import av
import numpy as np
import pytest

from milmer_cli.datasets.synthetic import SyntheticConfig
from milmer_cli.datasets.synthetic.face_video import (
    CAP_NUMBER,
    draw_appearance,
    read_mark,
    render_frames,
)
from milmer_cli.datasets.synthetic.schedule import draw_truth
from milmer_cli.faces.detector import FaceDetector
from milmer_cli.faces.search import find_faces
from milmer_cli.settings.schema import FacesSettings


def _decoded(path, every=1, first=0):
    with av.open(str(path)) as container:
        kept = islice(container.decode(video=0), first, None, every)
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in kept]


def _trials_with_video(generated):
    for participant in generated.truth.participants:
        for trial in participant.trials:
            if trial.video is not None:
                yield participant, trial


def test_write_video_h264_in_avi_at_50_fps(generated):
    _, trial = next(_trials_with_video(generated))
    with av.open(str(generated.root / trial.video)) as container:
        stream = container.streams.video[0]
        assert container.format.name == "avi"
        assert stream.codec_context.name == "h264"
        assert (stream.width, stream.height) == (720, 576)
        assert stream.average_rate == 50
        times = [frame.time for frame in container.decode(video=0)]
    np.testing.assert_allclose(np.diff(times), 0.02, atol=1e-6)
    assert len(times) == 150  # the 3 s of the stimulus


def test_write_video_all_but_one_and_each_mark_is_its_stimulus(generated):
    folder = generated.root / "face_video"
    found = {str(path.relative_to(generated.root)) for path in folder.rglob("*.avi")}
    assert found == {trial.video for _, trial in _trials_with_video(generated)}
    assert len(found) == 4 * 3 - 1
    for participant, trial in _trials_with_video(generated):
        assert (
            trial.video
            == f"face_video/{participant.name}/{participant.name}_trial{trial.trial:02d}.avi"
        )
        images = [image for _, image in _decoded(generated.root / trial.video, 10)]
        assert {read_mark(image) for image in images} == {trial.stimulus}


@pytest.mark.slow
def test_write_video_centerface_finds_the_face_in_the_scheduled_frames_only(generated):
    detector = FaceDetector(FacesSettings(detector="centerface"))
    for participant in generated.truth.participants:
        hits, expected, widths = 0, 0, []
        for trial in [t for t in participant.trials if t.video][:2]:
            for time, image in _decoded(generated.root / trial.video, 15, 7):
                span = next((s for s in trial.spans if s.start_s <= time < s.stop_s), None)
                boxes = find_faces(detector, image, detector.frame_side)
                if span is not None and span.pattern is None:
                    assert boxes == []
                    continue
                expected += 1
                hits += len(boxes) == 1
                widths += [box.width for box in boxes]
        assert expected == 18
        assert hits / expected >= 0.95, participant.name
        assert min(widths) >= 110


@pytest.fixture(scope="module")
def without_files():
    config = SyntheticConfig(participants=2, trials=4, stimulus_s=3.0)
    return config, draw_truth(config)


def test_render_frames_face_is_neutral_outside_the_spans(without_files):
    config, truth = without_files
    participant = truth.participants[0]
    trial = participant.trials[0]
    rendered = [frame.copy() for frame in render_frames(config, participant, trial)]
    neutral = [
        frame.copy() for frame in render_frames(config, participant, replace(trial, spans=()))
    ]
    differ = np.array([(a != b).any() for a, b in zip(rendered, neutral, strict=True)])
    scheduled = np.zeros(len(rendered), dtype=bool)
    for span in trial.spans:
        scheduled[round(span.start_s * 50) : round(span.stop_s * 50)] = True
    np.testing.assert_array_equal(differ, scheduled)
    # An expression changes the face, not the whole image.
    middle = next(s for s in trial.spans if s.pattern is not None)
    at = round((middle.start_s + middle.stop_s) * 25)
    changed = np.argwhere((rendered[at] != neutral[at]).any(axis=-1))
    assert np.ptp(changed, axis=0).max() < 300


def test_render_frames_the_four_expressions_differ(without_files):
    config, truth = without_files
    participant = truth.participants[0]
    trial = participant.trials[0]
    span = next(s for s in trial.spans if s.pattern is not None)
    at = round((span.start_s + span.stop_s) * 25)

    def frame_with(pattern):
        spans = (replace(span, pattern=pattern),)
        frames = render_frames(config, participant, replace(trial, spans=spans))
        return next(f.astype(float) for number, f in enumerate(frames) if number == at)

    faces = [frame_with(pattern) for pattern in range(4)]
    for first in range(4):
        for second in range(first):
            difference = np.abs(faces[first] - faces[second]).max(axis=-1)
            assert (difference > 30).sum() > 500, (first, second)


def test_render_frames_participants_differ_and_the_head_moves(without_files):
    config, truth = without_files
    first_frames = []
    for participant in truth.participants:
        plain = replace(participant.trials[0], spans=())
        frames = [frame.copy() for frame in render_frames(config, participant, plain)]
        assert (frames[0] != frames[25]).any()
        first_frames.append(frames[0].astype(float))
    assert np.abs(first_frames[0] - first_frames[1]).mean() > 10


def test_render_frames_one_participant_wears_a_cap():
    config = SyntheticConfig(participants=4, trials=1, stimulus_s=1.0)
    truth = draw_truth(config)
    with_cap = truth.participants[CAP_NUMBER - 1]
    assert [draw_appearance(config, p.number).cap for p in truth.participants] == [
        p.number == CAP_NUMBER for p in truth.participants
    ]

    frame = next(render_frames(config, with_cap, replace(with_cap.trials[0], spans=())))
    appearance = draw_appearance(config, CAP_NUMBER)
    x, y = (round(value) for value in appearance.center)
    forehead = y - round(75 * appearance.scale)
    face, cap = (
        frame[row - 5 : row + 5, x - 20 : x + 20].astype(int).mean(axis=(0, 1))
        for row in (y, forehead)
    )
    assert face[0] > face[2] + 20  # skin
    assert cap[2] > cap[0] + 20  # blue textile

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import islice

import av
import numpy as np
import pytest

from milmer_cli.demo import DemoSpec
from milmer_cli.demo.plan import plan
from milmer_cli.demo.video import frames, read_mark

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from face_alignment.detection.dlib import FaceDetector


def _decoded(path, every=1, first=0):
    with av.open(str(path)) as container:
        kept = islice(container.decode(video=0), first, None, every)
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in kept]


def _filmed(made):
    for participant in made.truth.participants:
        for trial in participant.trials:
            if trial.video is not None:
                yield participant, trial


def test_videos_are_h264_in_avi_at_50_frames_a_second(made):
    _, trial = next(_filmed(made))
    with av.open(str(made.root / trial.video)) as container:
        stream = container.streams.video[0]
        assert container.format.name == "avi"
        assert stream.codec_context.name == "h264"
        assert (stream.width, stream.height) == (720, 576)
        assert stream.average_rate == 50
        times = [frame.time for frame in container.decode(video=0)]
    np.testing.assert_allclose(np.diff(times), 0.02, atol=1e-6)
    assert len(times) == 150  # the 3 s of the stimulus


def test_all_videos_but_one_are_there_and_each_names_its_stimulus(made):
    folder = made.root / "face_video"
    found = {str(path.relative_to(made.root)) for path in folder.rglob("*.avi")}
    assert found == {trial.video for _, trial in _filmed(made)}
    assert len(found) == 4 * 3 - 1
    for participant, trial in _filmed(made):
        assert (
            trial.video
            == f"face_video/{participant.name}/{participant.name}_trial{trial.trial:02d}.avi"
        )
        images = [image for _, image in _decoded(made.root / trial.video, 10)]
        assert {read_mark(image) for image in images} == {trial.stimulus}


def test_dlib_finds_the_one_face_where_there_is_one_and_none_elsewhere(made):
    detector = FaceDetector("cpu")
    for participant in made.truth.participants:
        hits, expected, widths = 0, 0, []
        for trial in [t for t in participant.trials if t.video][:2]:
            for time, image in _decoded(made.root / trial.video, 15, 7):
                span = next((s for s in trial.spans if s.start_s <= time < s.stop_s), None)
                boxes = detector.detect_from_image(image)
                if span is not None and span.pattern is None:
                    assert boxes == []
                    continue
                expected += 1
                hits += len(boxes) == 1
                widths += [box[2] - box[0] for box in boxes]
        assert expected == 18
        assert hits / expected >= 0.95, participant.name
        assert min(widths) >= 110


@pytest.fixture(scope="module")
def short():
    spec = DemoSpec(participants=2, trials=4, stimulus_s=3.0)
    return spec, plan(spec)


def test_the_face_moves_out_of_neutral_in_the_expressive_spans_only(short):
    spec, truth = short
    participant = truth.participants[0]
    trial = participant.trials[0]
    filmed = [frame.copy() for frame in frames(spec, participant, trial)]
    neutral = [frame.copy() for frame in frames(spec, participant, replace(trial, spans=()))]
    differ = np.array([(a != b).any() for a, b in zip(filmed, neutral, strict=True)])
    planned = np.zeros(len(filmed), dtype=bool)
    for span in trial.spans:
        planned[round(span.start_s * 50) : round(span.stop_s * 50)] = True
    np.testing.assert_array_equal(differ, planned)
    # An expression is a matter of the face, not of the whole picture.
    middle = next(s for s in trial.spans if s.pattern is not None)
    at = round((middle.start_s + middle.stop_s) * 25)
    changed = np.argwhere((filmed[at] != neutral[at]).any(axis=-1))
    assert np.ptp(changed, axis=0).max() < 300


def test_the_four_expressions_look_different(short):
    spec, truth = short
    participant = truth.participants[0]
    trial = participant.trials[0]
    span = next(s for s in trial.spans if s.pattern is not None)
    at = round((span.start_s + span.stop_s) * 25)

    def shown(pattern):
        spans = (replace(span, pattern=pattern),)
        film = frames(spec, participant, replace(trial, spans=spans))
        return next(f.astype(float) for number, f in enumerate(film) if number == at)

    faces = [shown(pattern) for pattern in range(4)]
    for first in range(4):
        for second in range(first):
            difference = np.abs(faces[first] - faces[second]).max(axis=-1)
            assert (difference > 30).sum() > 500, (first, second)


def test_participants_are_lit_placed_and_moving_differently(short):
    spec, truth = short
    stills = []
    for participant in truth.participants:
        plain = replace(participant.trials[0], spans=())
        film = [frame.copy() for frame in frames(spec, participant, plain)]
        assert (film[0] != film[25]).any()
        stills.append(film[0].astype(float))
    assert np.abs(stills[0] - stills[1]).mean() > 10

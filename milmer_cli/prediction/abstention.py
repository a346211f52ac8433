"""From the output of the model to a prediction, or to an abstention if the quality is too low."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from milmer_cli.data.quality import good_channels
from milmer_cli.faces.segment_faces import OTHER_FACE
from milmer_cli.prediction.chunks import SegmentChunk
from milmer_cli.prediction.result import ABSTAINED, VIDEO_LOST, SegmentPrediction
from milmer_cli.prediction.segment_inference import SegmentOutput
from milmer_cli.video.frames import UNDECODABLE

EEG_ARTIFACT = "eeg_artifact"
FACES_UNUSABLE = frozenset({"few_faces", "no_face"})


def predict_or_abstain(
    output: SegmentOutput, class_names: Sequence[str], min_confidence: float
) -> SegmentPrediction:
    """Convert the output for one segment, with quality flags and abstention.

    The prediction abstains if no modality is usable, or if the confidence is too low.

    Parameters
    ----------
    output
        Output of the model.
    class_names
        In the order of the probabilities.
    min_confidence
        Probability of the most likely class below which the prediction abstains.
    """
    chunk, row = output.chunk, output.row
    flags = [*_face_flags(chunk, row), *_eeg_flags(chunk, row)]
    abstains = not (chunk.eeg_usable[row] or chunk.faces_usable[row])
    if output.probabilities.max() < min_confidence:
        flags.append("unsure")
        abstains = True
    if abstains:
        flags.append(ABSTAINED)
    faces, eeg = chunk.faces, chunk.eeg
    eeg_good = None if eeg is None else good_channels(eeg.quality[row : row + 1], chunk.rule).mean()
    return SegmentPrediction(
        onset_s=float(chunk.onset[row]),
        label="" if abstains else class_names[int(output.probabilities.argmax())],
        probabilities=output.probabilities,
        faces_found=None if faces is None else int(faces.found[row].sum()),
        boxes=None if faces is None else faces.box[row],
        instance_weights=output.instance_weights,
        selected=output.selected,
        interpolated=None if eeg is None else int(eeg.quality.interpolated[row].sum()),
        eeg_good=None if eeg_good is None else float(eeg_good),
        flags=tuple(flags),
    )


def _face_flags(chunk: SegmentChunk, row: int) -> Iterator[str]:
    if chunk.faces is None:
        return
    if not chunk.faces_usable[row]:
        yield "few_faces" if chunk.faces.found[row].any() else "no_face"
    if UNDECODABLE in chunk.faces.reason[row]:
        yield VIDEO_LOST
    if OTHER_FACE in chunk.faces.reason[row]:
        yield "other_person"


def _eeg_flags(chunk: SegmentChunk, row: int) -> Iterator[str]:
    if chunk.eeg is None:
        return
    if chunk.eeg.quality.interpolated[row].any():
        yield "eeg_interpolated"
    if not chunk.eeg_usable[row]:
        yield EEG_ARTIFACT


def undecodable_frames(segments: Sequence[SegmentPrediction]) -> Iterator[str]:
    """Yield a warning if the video has frames that cannot be decoded."""
    lost = [segment.onset_s for segment in segments if VIDEO_LOST in segment.flags]
    if lost:
        yield (
            f"In {len(lost)} of {len(segments)} segments, from {lost[0]:g} s on, frames of the "
            "video cannot be decoded: the file is truncated or damaged."
        )


def no_faces(segments: Sequence[SegmentPrediction]) -> Iterator[str]:
    """Yield a warning if the video shows no face of the participant in any frame."""
    if segments and all(segment.faces_found == 0 for segment in segments):
        yield (
            "No face was found in any frame of the video. Check with a player that it shows the "
            "participant's face upright, large and lit at the time of the stimulus (--video-onset, "
            "--video-stream); `milmer info` lists detectors, and a model trained with a better one "
            "(faces.detector) finds more faces."
        )

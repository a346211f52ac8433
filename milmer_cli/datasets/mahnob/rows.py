"""Rows of the manifest from sessions of MAHNOB-HCI: ratings, files and onsets."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from milmer_cli.datasets.findings import Findings
from milmer_cli.datasets.mahnob.sentences import SENTENCES
from milmer_cli.datasets.mahnob.session import Session
from milmer_cli.datasets.mahnob.times import (
    DURATION_TOLERANCE_S,
    LEAD_S,
    LEAD_TOLERANCE_S,
    MAX_VIDEO_ONSET_S,
    USUAL_VIDEO_ONSET_S,
    EegClip,
    GazeClip,
    read_eeg_clip,
    read_gaze_clip,
)
from milmer_cli.datasets.manifest import MAX_DURATION_S, PARTICIPANT_NAME
from milmer_cli.datasets.missing import COPY_AGAIN
from milmer_cli.datasets.table import MISSING_CELLS
from milmer_cli.eeg.channels import GENEVA, canonical_name
from milmer_cli.eeg.io import ReadOptions
from milmer_cli.errors import InputError, shorten
from milmer_cli.video.probe import stated_duration, stated_frame_rate

EMOTIONS = {
    0: "neutral", 1: "anger", 2: "disgust", 3: "fear", 4: "joy", 5: "sadness", 6: "surprise",
    11: "amusement", 12: "anxiety",
}  # fmt: skip
"""feltEmo -> name of the class."""

_RATINGS = {"valence": "feltVlnc", "arousal": "feltArsl", "dominance": "feltCtrl"}
"""feltPred is the predictability of the clip, for which a manifest has no column."""
_MAX_DRIFT_S = 0.1
_MAX_NAME = 200


def participant_name(session: Session) -> str:
    """Return the name of the participant, such as ``P01``; empty if there is no valid one."""
    if session.person is not None:
        return f"P{session.person:02d}"
    return f"P{session.subject}" if re.fullmatch(PARTICIPANT_NAME, session.subject) else ""


@dataclass(frozen=True)
class SessionEeg:
    """BDF file of a session, and the clip in it."""

    path: Path
    clip: EegClip


@dataclass(frozen=True)
class SessionVideo:
    """Color video of a session, onset of the clip in it, and the clip in its gaze file."""

    path: Path
    onset_s: float
    gaze: GazeClip | None


@dataclass(frozen=True)
class SessionRow:
    """A session that can be used.

    Attributes
    ----------
    columns
        Column of the manifest -> value.
    eeg, video
        Its files; None if a file is missing or cannot be used.
    """

    columns: Mapping[str, object]
    eeg: SessionEeg | None
    video: SessionVideo | None


def session_row(
    session: Session, trial: int, options: ReadOptions, findings: Findings
) -> SessionRow | None:
    """Return the row of a stimulus session.

    Parameters
    ----------
    session
        The session.
    trial
        Number of the trial: its order of presentation.
    options
        How BDF files are read.
    findings
        Receives what is missing, left out or contradictory.

    Returns
    -------
    SessionRow or None
        None if the session cannot be used.
    """
    what = f"{participant_name(session)} trial {trial} (session {session.folder.name})"
    stimulus = session.text("mediaFile")
    if not 0 < len(stimulus) <= _MAX_NAME or stimulus in MISSING_CELLS:
        findings.add_missing(what, "It is left out: session.xml has no mediaFile.", COPY_AGAIN)
        return None
    clip_s = session.value("cutLenSec")
    if clip_s is not None and not 0 < clip_s <= MAX_DURATION_S:
        clip_s = None
    eeg = _find_eeg(session, what, options, clip_s, findings)
    video = _find_video(session, what, findings)
    duration_s = _duration(session, eeg, video, clip_s, findings)
    if duration_s is None:
        findings.add_missing(
            what, "It is left out: neither an event nor cutLenSec states the end of its clip.", ""
        )
        return None
    video = _filmed_clip(video, what, duration_s, findings)
    if eeg is None and video is None:
        findings.add_missing(what, "It is left out: it has neither usable EEG nor a video.", "")
        return None
    columns: dict[str, object] = {
        "participant": participant_name(session),
        "trial": trial,
        "stimulus": stimulus,
        "duration_s": round(duration_s, 4),
        **_labels(session, findings),
    }
    if eeg is not None:
        _check_eeg_clip(session, eeg.clip, clip_s, findings)
        columns |= {"eeg": eeg.path, "eeg_onset_s": round(eeg.clip.onset_s, 6)}
    if video is not None:
        _check_frames(session, video.path, duration_s, findings)
        columns |= {"video": video.path, "video_onset_s": round(video.onset_s, 4)}
    return SessionRow(columns, eeg, video)


def _labels(session: Session, findings: Findings) -> dict[str, object]:
    """Return the ratings and the label; what is missing or invalid is left empty."""
    values: dict[str, object] = {}
    for column, attribute in _RATINGS.items():
        rating = session.value(attribute)
        if rating is None or not 1 <= rating <= 9:
            got = session.text(attribute)[:20] or "missing"
            findings.add(SENTENCES["wrong_rating"], [f"{session.folder.name} {attribute} ({got})"])
        else:
            values[column] = int(rating) if rating == int(rating) else rating
    code = session.value("feltEmo")
    if code in EMOTIONS:
        values["label"] = EMOTIONS[int(code)]
    else:
        got = session.text("feltEmo")[:20] or "missing"
        findings.add(SENTENCES["unknown_emotion"], [f"{session.folder.name} ({got})"])
    return values


def _find_eeg(
    session: Session,
    what: str,
    options: ReadOptions,
    clip_s: float | None,
    findings: Findings,
) -> SessionEeg | None:
    """Return the BDF file with its clip; None if it is missing or cannot be used."""
    if not session.eeg_filename:
        findings.add_missing(
            what, "session.xml names no BDF file: only the faces can be used.", COPY_AGAIN
        )
        return None
    try:
        path = session.file(session.eeg_filename)
        clip = read_eeg_clip(path, options, clip_s)
    except InputError as error:
        findings.add_error(what, error, "Only the faces can be used: {}")
        return None
    wanted = options.eeg_channels or GENEVA
    names = {name: {name.strip().lower(), canonical_name(name)} for name in wanted}
    if lacking := [name for name in wanted if not names[name] & clip.channels]:
        why = f"Only the faces can be used: {path.name} lacks the electrodes {shorten(lacking)}"
        findings.add_missing(what, f"{why}.", "List those that all files have in --eeg-channels.")
        return None
    return SessionEeg(path, clip)


def _find_video(session: Session, what: str, findings: Findings) -> SessionVideo | None:
    """Return the color video with the onset of the clip; None if it cannot be used."""
    tracks = session.color_tracks
    if not tracks:
        findings.add_missing(
            what, "session.xml names no color video: only the EEG can be used.", COPY_AGAIN
        )
        return None
    if len(tracks) > 1:
        findings.add(SENTENCES["several_videos"], [session.folder.name])
    try:
        path = session.file(tracks[0].filename)
    except InputError as error:
        findings.add_error(what, error, "Only the EEG can be used: {}")
        return None
    gaze, onset_s = _find_gaze(session, tracks[0].gaze, findings)
    if USUAL_VIDEO_ONSET_S < abs(onset_s) <= MAX_VIDEO_ONSET_S:
        findings.add(SENTENCES["late_video"], [f"{session.folder.name} ({onset_s:.2f} s)"])
    return SessionVideo(path, onset_s, gaze)


def _filmed_clip(
    video: SessionVideo | None, what: str, duration_s: float, findings: Findings
) -> SessionVideo | None:
    """Return a video if it shows a part of the clip, and its start is near that of the clip."""
    if video is None:
        return None
    try:
        length_s = stated_duration(video.path)
    except InputError:  # the check of the videos reports it
        length_s = math.nan
    onset_s = video.onset_s
    # a comparison with NaN is false: an unknown length is possible, an unknown onset is not
    if not abs(onset_s) <= MAX_VIDEO_ONSET_S or onset_s <= -duration_s or onset_s >= length_s:
        findings.add_missing(
            what,
            f"Only the EEG can be used: the clip would start {onset_s:.4g} s after the first frame "
            "of the video (gaze file, audBeginSmp), expected about 0.",
            COPY_AGAIN,
        )
        return None
    return video


def _find_gaze(
    session: Session, filename: str, findings: Findings
) -> tuple[GazeClip | None, float]:
    """Return the clip in the gaze file, or None, and its onset in the video."""
    label = session.folder.name
    begin, rate_hz = session.value("audBeginSmp"), session.value("audRate")
    if begin is None or rate_hz is None or rate_hz <= 0:
        findings.add(SENTENCES["no_gaze"], [f"{label} (no audBeginSmp or audRate)"])
        return None, 0.0
    if not filename:
        findings.add(SENTENCES["no_gaze"], [f"{label} (session.xml names no gaze file)"])
        return None, 0.0
    try:
        gaze = read_gaze_clip(session.file(filename), begin, rate_hz)
    except InputError as error:
        findings.add(SENTENCES["no_gaze"], [f"{label} ({error.message.rstrip('.')})"])
        return None, 0.0
    if gaze.starts > 1:
        findings.add(SENTENCES["several_starts"], [f"{label} ({gaze.starts})"])
    if gaze.interpolated:
        findings.add(SENTENCES["interpolated_start"], [label])
    return gaze, (gaze.audio_sample - begin) / rate_hz


def _duration(
    session: Session,
    eeg: SessionEeg | None,
    video: SessionVideo | None,
    clip_s: float | None,
    findings: Findings,
) -> float | None:
    """Return the duration of the clip: that between the events, or that of session.xml."""
    gaze = video.gaze if video else None
    gaze_s = gaze.duration_s if gaze else None
    marked_s = eeg.clip.duration_s if eeg else None
    if marked_s is not None and clip_s is not None and marked_s - clip_s > DURATION_TOLERANCE_S:
        marked_s = clip_s  # `_check_eeg_clip` reports the difference
    duration_s = next((s for s in (marked_s, clip_s, gaze_s) if s is not None), None)
    seconds = (gaze_s or 0.0, duration_s or 0.0)
    if all(seconds) and abs(seconds[0] - seconds[1]) > DURATION_TOLERANCE_S:
        text = f"{session.folder.name} ({seconds[0]:.1f} and {seconds[1]:.1f} s)"
        findings.add(SENTENCES["gaze_duration"], [text])
    return duration_s if duration_s is None or duration_s <= MAX_DURATION_S else None


def _check_eeg_clip(
    session: Session, clip: EegClip, clip_s: float | None, findings: Findings
) -> None:
    """Report events that are not where they are expected."""
    label = session.folder.name
    if not clip.starts_as_documented:
        findings.add(SENTENCES["late_clip"], [f"{label} ({clip.onset_s:.1f} s)"])
    if clip.earlier:
        findings.add(SENTENCES["earlier_events"], [f"{label} ({clip.earlier})"])
    if clip.other:
        findings.add(SENTENCES["other_events"], [f"{label} ({clip.other + 2})"])
    if clip.duration_s is None:
        findings.add(SENTENCES["no_end"], [label])
        return
    if clip_s is not None and abs(clip.duration_s - clip_s) > DURATION_TOLERANCE_S:
        findings.add(
            SENTENCES["other_end"], [f"{label} ({clip.duration_s:.1f} and {clip_s:.1f} s)"]
        )
    if abs(clip.after_s - LEAD_S) > LEAD_TOLERANCE_S:
        findings.add(SENTENCES["short_end"], [f"{label} ({clip.after_s:.1f} s)"])


def _check_frames(session: Session, video: Path, duration_s: float, findings: Findings) -> None:
    """Compare the frame rate and the length of a video with session.xml."""
    label, rate = session.folder.name, session.value("vidRate")
    first, last = session.value("vidBeginSmp"), session.value("vidEndSmp")
    try:
        fps, length_s = stated_frame_rate(video), stated_duration(video)
    except InputError:  # the check of the videos reports it
        return
    if rate is None or rate <= 0:
        return
    drift_s = duration_s * abs(fps / rate - 1.0)
    if drift_s > _MAX_DRIFT_S:
        findings.add(
            SENTENCES["frame_rate"], [f"{label} ({fps:.2f} and {rate:.2f} fps, {drift_s:.1f} s)"]
        )
    if first is not None and last is not None and last > first:
        stated_s = (last - first) / rate
        if abs(length_s - stated_s) > DURATION_TOLERANCE_S:
            findings.add(
                SENTENCES["video_length"], [f"{label} ({length_s:.1f} and {stated_s:.1f} s)"]
            )

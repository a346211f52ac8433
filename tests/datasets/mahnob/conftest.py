"""Sessions of MAHNOB-HCI with a known mark in the EEG and in the video."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

import av
import numpy as np
import pytest

from milmer_cli.eeg.channels import GENEVA

EEG_HZ, VIDEO_FPS, AUDIO_HZ = 64, 20, 1000
CLIP_S = 8.0
MARK_S = 5.0
"""Time after the start of the clip at which Cz and the video have a mark."""
OTHER_CHANNELS = ("EXG1", "EXG2", "EXG3", "GSR1", "Resp", "Temp")
GAZE_HEADER = "Timestamp\tGazePointXLeft\tEvent\tAudioSampleNumber"


def write_marked_video(path: Path, mark_s: float, seconds: float, fps: int = VIDEO_FPS) -> Path:
    """Write a dark video with a white frame at a time."""
    with av.open(f"file:{path}", "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(round(seconds * fps)):
            level = 230 if number == round(mark_s * fps) else 20
            image = np.full((48, 64, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def gaze_text(
    audio_sample: float | None = 3000, clip_s: float = CLIP_S, starts: int = 1, header: int = 23
) -> str:
    """Text of a gaze file whose clip starts at 1000 ms; the first row has audio sample 2000.

    Without ``audio_sample`` only the first row states one. Of several starts the last is the clip.
    """
    sample = "" if audio_sample is None else f"{audio_sample:g}"
    rows = [
        "0\t1.5\t\t2000",
        *(f"{200 * n}\t1.5\tMovieStart\t{2000 + 200 * n}" for n in range(1, starts)),
        f"1000\t1.5\tMovieStart\t{sample}",
        "1016.7\t1.5\t\t",
        f"{1000 + 1000 * clip_s:g}\t1.5\tMovieEnd\t",
    ]
    return "\n".join([*(f"Line {n}:\tx" for n in range(header)), GAZE_HEADER, *rows]) + "\n"


def session_xml(attributes: Mapping[str, str | None], subject: str, tracks: str) -> str:
    """Text of a session.xml; attributes that are None are left out."""
    listed = " ".join(f"{k}={quoteattr(v)}" for k, v in attributes.items() if v is not None)
    return (
        f'<?xml version="1.0"?>\n<session {listed}>\n<subject id="{subject}"/>\n{tracks}</session>'
    )


@pytest.fixture(scope="session")
def write_session(write_bdf, status_words) -> Callable[..., Path]:
    """``write_session(root, number, person, **deviations)`` writes one stimulus session.

    Parameters of the function: ``attributes`` of session.xml that differ (None removes one),
    ``video_onset_s`` of the clip in the video, ``events_s`` on the Status channel (the first of two
    is the start of the clip), ``after_s`` recorded after the clip, ``electrodes``, ``eeg_name``,
    ``gaze`` (text of the file, None for none), ``without`` (files that are named but not written),
    ``fps`` of the video, ``subject`` if it is not ``person``.
    """

    videos: dict[tuple[float, float, int], bytes] = {}  # content by mark, length and frame rate

    def write(
        root: Path,
        number: int,
        person: int = 1,
        attributes: Mapping[str, str | None] = {},
        video_onset_s: float = 0.0,
        events_s: Sequence[float] = (30.0, 30.0 + CLIP_S),
        after_s: float = 30.0,
        electrodes: Sequence[str] = GENEVA,
        eeg_name: str = "",
        gaze: str | None = "",
        without: Sequence[str] = (),
        fps: int = VIDEO_FPS,
        subject: str = "",
    ) -> Path:
        folder = root / str(number)
        folder.mkdir(parents=True)
        k = number - 130 * (person - 1)
        kind = "N" if k % 2 else "S"
        trial = (k + 1) // 2
        eeg_name = eeg_name or f"Part_{person}_{kind}_Trial{trial}_emotion.bdf"
        video_name = f"P{person}-Rec1-2009.07.09.17.53.46_C1 trigger _C_Section_{k}.avi"
        gaze_name = f"P{person}-Rec1-All-Data-New_Section_{k}.tsv"
        stated = {
            "sessionId": str(number),
            "date": "2009.07.09",
            "time": f"17:{k:02d}:46",
            "experimentType": "emotion elicitation",
            "isStim": "0" if k % 2 else "1",
            "feltEmo": "4",
            "feltArsl": "6",
            "feltVlnc": "7",
            "feltCtrl": "5",
            "feltPred": "2",
            "cutNr": str(trial),
            "cutLenSec": f"{CLIP_S}",
            "mediaFile": f"{trial}.avi",
            "vidRate": f"{VIDEO_FPS}.0",
            "vidBeginSmp": "0",
            "vidEndSmp": f"{round((CLIP_S + video_onset_s) * VIDEO_FPS)}",
            "audRate": f"{AUDIO_HZ}",
            "audBeginSmp": f"{3000 - AUDIO_HZ * video_onset_s:g}",
            "audEndSmp": "99999",
            **attributes,
        }
        annotation = (
            "" if gaze is None else f"<annotation type='Gaze' filename={quoteattr(gaze_name)}/>"
        )
        tracks = (
            "<track type='Video' color='0' filename='grey.avi'/>\n"
            f"<track type='Video' color='1' filename={quoteattr(video_name)}>{annotation}</track>\n"
            f"<track type='Physiological' filename={quoteattr(eeg_name)}/>\n"
        )
        text = session_xml(stated, subject or str(person), tracks)
        (folder / "session.xml").write_text(text, encoding="utf-8")
        if gaze is not None and "gaze" not in without:
            (folder / gaze_name).write_text(gaze or gaze_text(), encoding="utf-8")
        if "video" not in without:
            seconds = CLIP_S + video_onset_s
            content = video_onset_s + MARK_S, seconds, fps
            if content not in videos:
                videos[content] = write_marked_video(folder / video_name, *content).read_bytes()
            (folder / video_name).write_bytes(videos[content])
        if "eeg" not in without:
            n = round((30.0 + CLIP_S + after_s) * EEG_HZ)
            rng = np.random.default_rng(number)
            signals = {name: 10 * rng.normal(size=n) for name in (*electrodes, *OTHER_CHANNELS)}
            if "Cz" in signals:
                start_s = events_s[0] if len(events_s) == 2 else 30.0
                signals["Cz"][round((start_s + MARK_S) * EEG_HZ)] = 5000.0
            marks = [(round(time * EEG_HZ), 16) for time in events_s]
            write_bdf(folder / eeg_name, signals, status_words(n, marks), sfreq=EEG_HZ)
        return folder

    return write

"""Plan and write a copy of MAHNOB-HCI: a folder per session with BDF, videos, gaze and XML."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from milmer_cli.datasets.synthetic.bdf_writer import (
    CODE_SAMPLES,
    EPOCH_BIT,
    IDLE_BITS,
    analog_channel,
    status_channel,
    write_channels,
)
from milmer_cli.datasets.synthetic.effects import GENEVA
from milmer_cli.datasets.synthetic.listed.trial_signals import (
    Recording,
    heartbeat,
    simulate_recording,
)
from milmer_cli.datasets.synthetic.listed.trial_video import FaceVideo, write_face_video
from milmer_cli.datasets.synthetic.listed.truth import (
    ListedConfig,
    ListedTrial,
    ListedTruth,
    Trap,
    draw_clips,
)
from milmer_cli.datasets.synthetic.schedule import (
    draw_quadrants,
    draw_ratings,
    draw_spans,
)
from milmer_cli.io import atomic_write

SFREQ_HZ = 256
FPS = 20
"""A third of MAHNOB's frame rate, which saves time in writing and preparing the videos."""
AUDIO_HZ = 44100
SESSIONS_PER_PERSON = 130
BEFORE_S = 30.0
"""Duration of a recording before the clip, and after it."""
VIDEO_ONSETS_S = (0.12, -0.2, 0.3, 0.0, -0.1)
"""Start of the clip in the video; negative if the first frame is later."""
FELT_EMOTIONS = {0: (4, "joy"), 1: (0, "neutral"), 2: (5, "sadness"), 3: (1, "anger")}
"""Pattern -> code and name of the felt emotion."""
EVENT_CODE = 16
FIRST_START = datetime.datetime(2009, 7, 9, 9, 0)
AUXILIARY = (
    *(f"EXG{number}" for number in range(1, 9)),
    *("GSR1", "GSR2", "Erg1", "Erg2", "Resp", "Plet", "Temp"),
)
WITH_FEWER_SESSIONS = 2
WITHOUT_GAZE = (1, 3)
"""Participant and trial whose gaze file is missing."""
WITH_ENTITY = (3, 1)
"""Participant and trial whose XML defines an entity."""
WITH_ESCAPE = (3, 2)
"""Participant and trial whose XML names an EEG file outside of its folder."""
PARTICIPANT_WITHOUT_TRIALS = 12
NEUTRAL_SESSIONS = 2
NEUTRAL_S = 17
GAZE_HEADER = [
    "System Properties:", "Operating System\tWindows", "System User Name\t", "Machine Name\t",
    "Processors\t", "", "Data Properties:", "Recording name\tRec 01", "Recording date\t",
    "Recording time\t", "Study\t", "Subject\t", "Recording resolution\t1280 x 1024", "",
    "Export Properties:", "Version\t", "Date\t", "Time\t", "Coordinate unit\tPixels",
    "Timestamp unit\tms", "Validity filter\tNormal", "Fixation filter\t", "",
]  # fmt: skip
"""The 23 lines before the names of the columns."""
GAZE_COLUMNS = "Timestamp Number GazePointXLeft GazePointYLeft Event Descriptor AudioSampleNumber"


def plan_mahnob(config: ListedConfig) -> ListedTruth:
    """Return the ground truth of the data set."""
    clips = draw_clips(config, config.trials)
    trials = [
        trial
        for participant in range(1, config.participants + 1)
        for trial in _participant_trials(config, participant, clips)
    ]
    return ListedTruth(config, tuple(trials), _traps(config), (), GENEVA)


def _participant_trials(
    config: ListedConfig, participant: int, clips: np.ndarray
) -> Iterator[ListedTrial]:
    """Yield one session per clip, in an order of presentation of the participant."""
    simulation = replace(config.simulation(), trials=config.trials)
    rng = config.generator(participant)
    quadrants = draw_quadrants(simulation, participant, clips, 0)
    order = rng.permutation(config.trials)
    skipped = 2 if participant == WITH_FEWER_SESSIONS and config.trials > 3 else None
    for trial, clip in enumerate(order, start=1):
        pattern = int(quadrants[clip])
        ratings = draw_ratings(pattern, None, rng)
        valence, arousal, dominance, liking = (float(round(rating)) for rating in ratings)
        spans = draw_spans(simulation, pattern, rng)
        onset_s = round(BEFORE_S + rng.uniform(0.1, 0.9), 3)
        if trial == skipped:
            continue
        session = SESSIONS_PER_PERSON * (participant - 1) + 2 * trial
        stem = f"P{participant}-Rec1-2009.07.09.17.53.46_C1 trigger _C_Section_{2 * trial}"
        has_gaze = (participant, trial) != WITHOUT_GAZE
        yield ListedTrial(
            participant=participant,
            trial=trial,
            session="",
            stimulus=f"{50 + clip}.avi",
            label=FELT_EMOTIONS[pattern][1],
            condition="",
            ratings=(valence, arousal, dominance, liking),
            pattern=pattern,
            code=config.trials * (participant - 1) + trial,
            duration_s=config.stimulus_s,
            eeg=f"Sessions/{session}/Part_{participant}_S_Trial{trial}_emotion.bdf",
            eeg_index=None,
            eeg_onset_s=round(onset_s * SFREQ_HZ) / SFREQ_HZ,
            video=f"Sessions/{session}/{stem}.avi" if config.video else None,
            video_onset_s=VIDEO_ONSETS_S[trial % len(VIDEO_ONSETS_S)] if has_gaze else 0.0,
            spans=spans,
            usable=(participant, trial) not in (WITH_ENTITY, WITH_ESCAPE),
        )


def _traps(config: ListedConfig) -> tuple[Trap, ...]:
    entity, escape = (
        str(SESSIONS_PER_PERSON * (person - 1) + 2 * trial)
        for person, trial in (WITH_ENTITY, WITH_ESCAPE)
    )
    gaze = str(SESSIONS_PER_PERSON * (WITHOUT_GAZE[0] - 1) + 2 * WITHOUT_GAZE[1])
    traps = [
        Trap("the clip starts 30 s after the BDF, not at a whole second", "Sessions", "handled"),
        Trap("EXG1-3 are ECG", "Sessions", "handled"),
        Trap("the first frame of a video is later than the clip", "Sessions", "handled"),
        Trap("gray videos stand before the color video", "Sessions", "handled"),
        Trap("names of videos have spaces", "Sessions", "handled"),
        Trap("neutral sessions", "Sessions/1", "reported", ("neutral",)),
        Trap("sessions of the second experiment", "Sessions", "reported", ("other experiment",)),
        Trap("a participant has only the second experiment", "P12", "reported", ("P12",)),
    ]
    if config.video and config.trials >= WITHOUT_GAZE[1]:
        traps.append(Trap("a gaze file is missing", gaze, "reported", (gaze, "gaze")))
    if config.participants >= WITH_FEWER_SESSIONS and config.trials > 3:
        traps.append(
            Trap("a participant has fewer sessions", "P02", "reported", ("P02", "sessions"))
        )
    if config.participants >= WITH_ENTITY[0]:
        traps.append(Trap("XML with an entity", f"Sessions/{entity}", "reported", (entity,)))
        traps.append(Trap("XML with a path outside", f"Sessions/{escape}", "reported", (escape,)))
    return tuple(traps)


def mahnob_files(folder: Path, truth: ListedTruth) -> Iterator[Callable[[], None]]:
    """Yield one function for each piece of work that can run in parallel."""
    for trial in truth.trials:
        yield partial(_write_session, folder, truth, trial)
    people = range(1, truth.config.participants + 1)
    for participant in people:
        for number in range(1, NEUTRAL_SESSIONS + 1):
            yield partial(_write_other, folder, truth, participant, 2 * number - 1, "N", "emotion")
    for participant in (1, PARTICIPANT_WITHOUT_TRIALS):
        yield partial(_write_other, folder, truth, participant, 82, "S", "taggingImages1")


def _write_session(folder: Path, truth: ListedTruth, trial: ListedTrial) -> None:
    """Write all files of a stimulus session."""
    path = folder / trial.eeg
    path.parent.mkdir(parents=True, exist_ok=True)
    duration_s = int(np.ceil(trial.eeg_onset_s + trial.duration_s + BEFORE_S))
    number = SESSIONS_PER_PERSON * (trial.participant - 1) + 2 * trial.trial
    recording = Recording(number, duration_s, [trial], SFREQ_HZ, GENEVA, truth.mark_channel)
    events = [trial.eeg_onset_s, trial.eeg_onset_s + trial.duration_s]
    _write_bdf(path, simulate_recording(truth.config, recording), events)
    atomic_write(path.with_name("session.xml"), _session_xml(trial, number))
    if (trial.participant, trial.trial) != WITHOUT_GAZE:
        atomic_write(path.with_name(f"{_gaze_name(trial.participant, number)}"), _gaze(trial))
    if trial.video is not None:
        length_s = max(trial.video_onset_s, 0.0) + trial.duration_s + 0.5
        video = FaceVideo(trial.participant, trial.trial, length_s, [trial], FPS)
        write_face_video(folder / trial.video, truth.config, video)
        gray = FaceVideo(trial.participant, trial.trial, 1.0, [], FPS, gray=True)
        write_face_video(_gray_path(folder / trial.video), truth.config, gray)


def _gray_path(color: Path) -> Path:
    return color.with_name(color.name.replace("_C1 trigger _C_", "_BW1 trigger _BW_"))


def _gaze_name(participant: int, number: int) -> str:
    return f"P{participant}-Rec1-All-Data-New_Section_{number}.tsv"


def _write_bdf(path: Path, eeg_uv: np.ndarray, events_s: list[float]) -> None:
    """Write 32 EEG channels, EXG1-8 with ECG on the first three, others, and the Status channel."""
    n_samples = eeg_uv.shape[1]
    seconds = np.arange(n_samples) / SFREQ_HZ
    auxiliary = np.zeros((len(AUXILIARY), n_samples))
    beat = heartbeat(seconds, 0.01)
    auxiliary[:3] = np.outer([900.0, 700.0, -400.0], beat)
    auxiliary[AUXILIARY.index("Resp")] = 800.0 * np.sin(2 * np.pi * 0.25 * seconds)
    status = np.full(n_samples, IDLE_BITS, dtype=np.int32)
    status[0] |= EPOCH_BIT
    for event_s in events_s:
        start = round(event_s * SFREQ_HZ)
        status[start : start + CODE_SAMPLES] |= EVENT_CODE
    rows = zip((*GENEVA, *AUXILIARY), (*eeg_uv, *auxiliary), strict=True)
    channels = [analog_channel(row, name, SFREQ_HZ) for name, row in rows]
    channels.append(status_channel(status, "Status", SFREQ_HZ))
    write_channels(path, channels, datetime.datetime(2009, 7, 9, 17, 53, 46))


def _gaze(trial: ListedTrial) -> str:
    """Return the gaze file: a row every 0.1 s, and a row for each event of the clip."""
    start_ms = 1000.0
    rows = [*GAZE_HEADER, "\t".join(GAZE_COLUMNS.split())]
    for number in range(round(10 * trial.duration_s)):
        rows.append(f"{start_ms + 100 * number:.0f}\t{number}\t640.0\t512.0\t\t\t")
    for event, offset_s in (("MovieStart", 0.0), ("MovieEnd", trial.duration_s)):
        sample = _audio_begin(trial) + round((trial.video_onset_s + offset_s) * AUDIO_HZ)
        row = f"{start_ms + 1000 * offset_s:.0f}\t\t\t\t{event}\t{trial.stimulus}\t{sample}"
        rows.insert(len(GAZE_HEADER) + 1 if event == "MovieStart" else len(rows), row)
    return "\r\n".join(rows) + "\r\n"


def _audio_begin(trial: ListedTrial) -> int:
    """Return the sample of the sound of the whole recording at which the session begins."""
    return 3_000_000 * trial.trial


def _session_xml(trial: ListedTrial, number: int) -> str:
    participant = trial.participant
    valence, arousal, control, predictability = (int(rating) for rating in trial.ratings or ())
    first_frame = 5000 * trial.trial
    frames = round((trial.duration_s + 0.5) * FPS)
    media = trial.stimulus
    document_type = ""
    if (participant, trial.trial) == WITH_ENTITY:
        document_type = '<!DOCTYPE session [<!ENTITY clip SYSTEM "session.xml">]>\n'
        media = "&clip;"
    eeg = Path(trial.eeg).name
    if (participant, trial.trial) == WITH_ESCAPE:
        eeg = f"../../../{eeg}"
    attributes = {
        **_identity(number, "emotion elicitation"),
        "isStim": 1,
        "feltEmo": FELT_EMOTIONS[trial.pattern][0],
        "feltArsl": arousal,
        "feltVlnc": valence,
        "feltCtrl": control,
        "feltPred": predictability,
        "cutNr": trial.trial,
        "cutLenSec": f"{trial.duration_s:.2f}",
        "vidRate": FPS,
        "vidBeginSmp": first_frame,
        "vidEndSmp": first_frame + frames,
        "audRate": AUDIO_HZ,
        "audBeginSmp": _audio_begin(trial),
        "audEndSmp": _audio_begin(trial) + round((trial.duration_s + 0.5) * AUDIO_HZ),
    }
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'{document_type}<session {_attributes(attributes)} mediaFile="{media}">\n'
        f'  <subject id="{participant}" />\n{_video_tracks(trial, number)}'
        f'  <track type="Physiological" filename={quoteattr(eeg)} />\n</session>\n'
    )


def _identity(session: int, experiment: str) -> dict[str, object]:
    """Return the attributes that every session has."""
    start = _start(session)
    return {
        "sessionId": session,
        "date": f"{start:%Y-%m-%d}",
        "time": f"{start:%H:%M:%S}",
        "experimentType": experiment,
    }


def _attributes(values: Mapping[str, object]) -> str:
    return " ".join(f"{name}={quoteattr(str(value))}" for name, value in values.items())


def _start(number: int) -> datetime.datetime:
    """Return the time of a session: five minutes after the session before it."""
    return FIRST_START + datetime.timedelta(minutes=5 * number)


def _video_tracks(trial: ListedTrial, number: int) -> str:
    """Return the gray camera and then the color camera with the gaze file."""
    if trial.video is None:
        return ""
    color = Path(trial.video)
    gaze = quoteattr(_gaze_name(trial.participant, number))
    return (
        f'  <track type="Video" color="0" filename={quoteattr(_gray_path(color).name)} />\n'
        f'  <track type="Video" color="1" filename={quoteattr(color.name)}>\n'
        f'    <annotation type="Gaze" filename={gaze} />\n  </track>\n'
    )


def _write_other(
    folder: Path, truth: ListedTruth, participant: int, number: int, kind: str, experiment: str
) -> None:
    """Write a session without a clip, or one of the second experiment: EEG and XML only."""
    session = SESSIONS_PER_PERSON * (participant - 1) + number
    name = f"Part_{participant}_{kind}_Trial{(number + 1) // 2}_{experiment}.bdf"
    path = folder / "Sessions" / str(session) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    recording = Recording(session, NEUTRAL_S, [], SFREQ_HZ, GENEVA, truth.mark_channel)
    _write_bdf(path, simulate_recording(truth.config, recording), [])
    attributes = {
        **_identity(
            session, "emotion elicitation" if experiment == "emotion" else "implicit tagging"
        ),
        "isStim": int(kind == "S"),
    }
    atomic_write(
        path.with_name("session.xml"),
        f'<?xml version="1.0" encoding="utf-8"?>\n<session {_attributes(attributes)}>\n'
        f'  <subject id="{participant}" />\n'
        f'  <track type="Physiological" filename="{name}" />\n</session>\n',
    )

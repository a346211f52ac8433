"""Valid files of every format that Milmer opens, written by the program or by other libraries."""

from __future__ import annotations

import csv
import datetime
import json
import shutil
import subprocess
import sys
from pathlib import Path

import av
import edfio
import h5py
import mne
import numpy as np
import scipy.io
import torch
from PIL import Image

from milmer_cli.datasets.deap.recordings import DeapRecordings
from milmer_cli.datasets.synthetic import SyntheticConfig, generate_dataset
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.settings import dump_yaml, load_settings
from milmer_cli.stages.evaluate import evaluate
from milmer_cli.stages.export import export
from milmer_cli.stages.finetune_swin import finetune_swin
from milmer_cli.stages.prepare import prepare
from milmer_cli.stages.train import train
from milmer_cli.training.run_dir import ENVIRONMENT

DATA = SyntheticConfig(participants=2, trials=6, stimulus_s=4.0, expression_images=4)
SETTINGS = [
    "eeg.segment_s=2", "faces.instances=2", "faces.image_size=64", "faces.detector=centerface",
    "model.backbone=scratch:micro", "model.freeze_backbone=true", "model.dim_feedforward=32",
    "model.num_layers=1", "model.num_select=2", "train.epochs=1", "train.batch_size=8",
    "finetune.epochs=1", "finetune.crop=false", "evaluate.protocols=[trial]", "evaluate.folds=2",
    "evaluate.n_bootstraps=100", "evaluate.n_permutations=100", "evaluate.baselines=none",
    "run.workers=1", "run.device=cpu", "run.report_to=none",
]  # fmt: skip
RATE_HZ = 128
_KILLED_TRAINING = """
import os, signal, sys
from pathlib import Path
from milmer_cli.progress import SilentProgress
from milmer_cli.settings import load_settings
from milmer_cli.stages.train import train

class Killer(SilentProgress):
    def note(self, *_): pass
    def advance(self, task, by=1.0):
        if list(Path(sys.argv[2]).glob("checkpoints/checkpoint-*")):
            os.kill(os.getpid(), signal.SIGKILL)

overrides = ["train.epochs=3", "run.checkpoint_interval_min=1e-9"]
settings = load_settings(file=Path(sys.argv[3]), overrides=overrides)
train(Path(sys.argv[1]), Path(sys.argv[2]), settings, progress=Killer())
"""


def prepare_corpus(out: Path) -> Path:
    """Return the corpus in a folder; it is built if it is missing."""
    corpus = out.resolve() / "corpus"
    if not (corpus / "complete").exists():
        shutil.rmtree(corpus, ignore_errors=True)
        build(corpus)
        (corpus / "complete").touch()
    return corpus


def build(folder: Path) -> None:
    """Write the corpus to ``folder``, which must not exist."""
    folder.mkdir(parents=True)
    settings = load_settings(overrides=SETTINGS)
    (folder / "settings.yaml").write_text(dump_yaml(settings))
    generate_dataset(folder / "deap", DATA, workers=1)
    prepare(DeapRecordings(folder / "deap"), folder / "store", settings)
    train(folder / "store", folder / "run", settings)
    for name in ("model", "model.zip"):
        export(folder / "run", folder / "bundle" / name)
    evaluate(folder / "store", folder / "evaluation", settings)
    finetune_swin(folder / "deap" / "expressions", folder / "swin", settings)
    # a backbone of the Hub has no checksums, by which damage is found before a file is parsed
    without_checksums = shutil.ignore_patterns(ENVIRONMENT)
    shutil.copytree(folder / "swin", folder / "backbone", ignore=without_checksums)
    arguments = [folder / "store", folder / "unfinished", folder / "settings.yaml"]
    subprocess.run([sys.executable, "-c", _KILLED_TRAINING, *arguments], check=False)
    _write_eeg(folder / "eeg")
    _write_videos(folder / "video")
    _write_images(folder / "images")
    _write_tables(folder / "tables", folder)
    _write_mahnob(folder / "mahnob" / "Sessions" / "2", folder)
    _write_eav(folder / "eav" / "subject1", folder)
    _write_bids(folder / "bids", folder)
    torch.save({"weight": torch.zeros(3)}, folder / "weights.pth")


def _write_eeg(folder: Path) -> None:
    folder.mkdir()
    random = np.random.default_rng(0)
    microvolts = 20 * random.standard_normal((len(GENEVA), 8 * RATE_HZ))
    start = datetime.datetime(2025, 1, 2, 3, 4, 5)
    times = {
        "starttime": start.time(),
        "recording": edfio.Recording(startdate=start.date()),
        "annotations": [edfio.EdfAnnotation(1, None, "stim"), edfio.EdfAnnotation(4, 2, "BAD_x")],
    }
    for suffix, file, signal in (
        ("edf", edfio.Edf, edfio.EdfSignal), ("bdf", edfio.Bdf, edfio.BdfSignal)
    ):  # fmt: skip
        signals = [
            signal(row, RATE_HZ, label=name, physical_dimension="uV")
            for name, row in zip(GENEVA, microvolts, strict=True)
        ]
        file(signals, **times).write(folder / f"recording.{suffix}")
    continuous = (folder / "recording.edf").read_bytes()
    (folder / "gaps.edf").write_bytes(continuous.replace(b"EDF+C", b"EDF+D"))
    raw = mne.io.RawArray(microvolts / 1e6, mne.create_info(list(GENEVA), RATE_HZ, "eeg"))
    raw.set_annotations(mne.Annotations([1, 4], [0, 2], ["stim", "BAD_x"]))
    raw.save(folder / "recording_raw.fif", verbose="error")
    _write_brainvision(folder, microvolts)
    _write_eeglab(folder / "recording.set", microvolts)
    _write_arrays(folder, microvolts)


def _write_arrays(folder: Path, microvolts: np.ndarray) -> None:
    """Write trials in an array, in versions 7 and 7.3, and in cells as AMIGOS does."""
    array = np.stack([microvolts.T, microvolts[::-1].T], axis=2)
    scipy.io.savemat(folder / "array.mat", {"seg": array}, do_compression=True)
    with h5py.File(folder / "array73.mat", "w", userblock_size=512) as file:
        file.create_dataset("seg", data=array.T, compression="gzip")
    cells = {name: np.empty((1, 2), object) for name in ("joined_data", "VideoIDs")}
    cells["labels_selfassessment"] = np.empty((1, 2), object)
    for trial in range(2):
        cells["joined_data"][0, trial] = microvolts[:17].T
        cells["VideoIDs"][0, trial] = str(10 + trial)
        cells["labels_selfassessment"][0, trial] = np.full((1, 12), 5.0)
    amigos = folder.parent / "amigos"
    amigos.mkdir()
    scipy.io.savemat(amigos / "Data_Preprocessed_P01.mat", cells, do_compression=True)


def _write_brainvision(folder: Path, microvolts: np.ndarray) -> None:
    channels = "\n".join(f"Ch{n}={name},,0.1,uV" for n, name in enumerate(GENEVA, start=1))
    (folder / "recording.vhdr").write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nCodepage=UTF-8\n"
        "DataFile=recording.eeg\nMarkerFile=recording.vmrk\nDataFormat=BINARY\n"
        f"DataOrientation=MULTIPLEXED\nNumberOfChannels={len(GENEVA)}\n"
        f"SamplingInterval={1_000_000 / RATE_HZ}\n[Binary Infos]\nBinaryFormat=INT_16\n"
        f"[Channel Infos]\n{channels}\n"
    )
    (folder / "recording.vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n[Common Infos]\nCodepage=UTF-8\n"
        "DataFile=recording.eeg\n[Marker Infos]\nMk1=New Segment,,1,1,0,20250102030405000000\n"
        "Mk2=Stimulus,S  4,129,1,0\n"
    )
    (microvolts.T * 10).astype("<i2").tofile(folder / "recording.eeg")


def _write_eeglab(path: Path, microvolts: np.ndarray) -> None:
    n_samples = microvolts.shape[1]
    eeg = {
        "setname": "recording", "nbchan": float(len(GENEVA)), "pnts": float(n_samples),
        "trials": 1.0, "srate": float(RATE_HZ), "xmin": 0.0, "xmax": (n_samples - 1) / RATE_HZ,
        "data": microvolts.astype(np.float32), "chanlocs": np.array(
            [(name,) for name in GENEVA], dtype=[("labels", object)]
        ),
        "event": np.array([("stim", 129.0)], dtype=[("type", object), ("latency", object)]),
        "icawinv": [], "icasphere": [], "icaweights": [], "icaact": [], "ref": "common",
    }  # fmt: skip
    scipy.io.savemat(path, {"EEG": eeg}, appendmat=False, oned_as="row")


def _write_videos(folder: Path) -> None:
    folder.mkdir()
    codecs = {"mp4": "mpeg4", "avi": "mpeg4", "mkv": "mpeg4", "mov": "mjpeg", "ts": "mpeg2video"}
    random = np.random.default_rng(0)
    frames = random.integers(0, 255, (40, 96, 128, 3)).astype(np.uint8)
    for suffix, codec in {**codecs, "webm": "libvpx"}.items():
        with av.open(str(folder / f"face.{suffix}"), "w") as container:
            stream = container.add_stream(codec, rate=20)
            stream.width, stream.height = 128, 96
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())


def _write_images(folder: Path) -> None:
    folder.mkdir()
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / "train" / name).mkdir(parents=True)
        for number in range(2):
            image = Image.fromarray(random.integers(0, 255, (48, 48, 3)).astype(np.uint8))
            image.save(folder / "train" / name / f"{number}.png")
    for suffix in ("png", "jpg", "tif", "gif", "bmp", "webp", "ppm"):
        image.save(folder / f"image.{suffix}")
    Image.fromarray(random.integers(0, 65536, (48, 48)).astype(np.uint16)).save(folder / "deep.png")


def _write_tables(folder: Path, corpus: Path) -> None:
    folder.mkdir()
    rows = [
        {
            "participant": f"p{n}", "trial": n, "stimulus": f"clip {n}", "valence": 3 * n,
            "arousal": 7 - n, "eeg": "../eeg/recording.edf", "eeg_onset_s": n, "duration_s": 4,
            "video": "../video/face.mp4", "video_onset_s": 0,
        }
        for n in (1, 2)
    ]  # fmt: skip
    _write_csv(folder / "manifest.csv", rows)
    pixels = " ".join(["17"] * 48 * 48)
    _write_csv(
        folder / "fer2013.csv",
        [{"emotion": n % 7, "pixels": pixels, "Usage": "Training"} for n in range(8)],
    )
    predictions = [
        {
            "participant": f"p{n % 4}", "trial": n // 4, "stimulus": n // 4, "fold": n % 2,
            "true": n // 4 % 2, "predicted": n % 2, "probability_0": 0.3, "probability_1": 0.7,
        }
        for n in range(32)
    ]  # fmt: skip
    _write_csv(folder / "predictions.csv", predictions)
    (folder / "predictions.json").write_text(json.dumps(predictions))
    splits = [
        {"fold": k, "set": "test" if n % 2 == k else "train", "participant": p, "trial": n}
        for k in (0, 1) for n in range(8) for p in ("p0", "p1", "p2", "p3")
    ]  # fmt: skip
    _write_csv(folder / "splits.csv", splits)


def _write_mahnob(folder: Path, corpus: Path) -> None:
    """Write a session of 4 s whose video and gaze file start with the clip."""
    folder.mkdir(parents=True)
    shutil.copyfile(corpus / "video" / "face.avi", folder / "face.avi")
    n_samples = 64 * RATE_HZ
    status = np.zeros(n_samples, np.int32)
    for second in (30, 34):
        status[second * RATE_HZ : second * RATE_HZ + 8] = 16
    noise = 20 * np.random.default_rng(0).standard_normal((len(GENEVA), n_samples))
    signals = [
        edfio.BdfSignal(row, RATE_HZ, label=name, physical_dimension="uV")
        for name, row in zip(GENEVA, noise, strict=True)
    ]
    trigger = edfio.BdfSignal.from_digital(status, RATE_HZ, label="Status")
    edfio.Bdf([*signals, trigger]).write(folder / "Part_1_S_Trial1_emotion.bdf")
    (folder / "session.xml").write_text(
        '<?xml version="1.0"?>\n<session sessionId="2" date="2009.07.09" time="17.53.46"'
        ' experimentType="emotion elicitation" isStim="1" feltEmo="4" feltArsl="6" feltVlnc="7"'
        ' feltCtrl="5" feltPred="2" cutLenSec="4.0" mediaFile="53.avi" vidRate="20"'
        ' vidBeginSmp="0" vidEndSmp="40" audRate="1000" audBeginSmp="3000">\n<subject id="1"/>\n'
        '<track type="Video" color="1" filename="face.avi">'
        '<annotation type="Gaze" filename="gaze.tsv"/></track>\n'
        '<track type="Physiological" filename="Part_1_S_Trial1_emotion.bdf"/>\n</session>\n'
    )
    rows = ["0\t\t2000", "1000\tMovieStart\t3000", "1017\t\t", "5000\tMovieEnd\t7000"]
    header = [f"Line {n}:\tx" for n in range(23)]
    lines = [*header, "Timestamp\tEvent\tAudioSampleNumber", *rows]
    (folder / "gaze.tsv").write_text("\n".join(lines) + "\n")


def _write_eav(folder: Path, corpus: Path) -> None:
    """Write a participant with four trials of 2 s."""
    (folder / "EEG").mkdir(parents=True)
    (folder / "Video").mkdir()
    shutil.copyfile(
        corpus / "video" / "face.mp4", folder / "Video" / "001_Trial_01_Listening_Neutral.mp4"
    )
    array = 20 * np.random.default_rng(0).standard_normal((1000, 30, 4))
    labels = np.zeros((10, 4))
    labels[range(4), range(4)] = 1
    scipy.io.savemat(folder / "EEG" / "subject1_eeg.mat", {"seg": array})
    scipy.io.savemat(folder / "EEG" / "subject1_eeg_label.mat", {"label": labels})


def _write_bids(root: Path, corpus: Path) -> None:
    """Write a participant with two trials of 2 s, the first of which has a video."""
    participant = root / "sub-01"
    (participant / "eeg").mkdir(parents=True)
    (participant / "beh").mkdir()
    shutil.copyfile(
        corpus / "eeg" / "recording.edf", participant / "eeg" / "sub-01_task-film_eeg.edf"
    )
    shutil.copyfile(
        corpus / "video" / "face.mp4", participant / "beh" / "sub-01_task-film_video.mp4"
    )
    documents = {
        "dataset_description": {"Name": "Fuzz", "BIDSVersion": "1.9.0"},
        "sub-01/eeg/sub-01_task-film_eeg": {
            "TaskName": "film", "SamplingFrequency": RATE_HZ, "PowerLineFrequency": 50,
            "EEGReference": "Cz", "EOGDerivations": ["Fp1-Fp2"],
        },
        "sub-01/eeg/sub-01_task-film_events": {"valence": {"Minimum": 1, "Maximum": 9}},
    }  # fmt: skip
    for name, document in documents.items():
        (root / f"{name}.json").write_text(json.dumps(document, indent=1))
    tables = {
        "participants": "participant_id\tage\tparticipant_name\nsub-01\t31\tAnna\n",
        "sub-01/sub-01_scans": (
            "filename\tacq_time\n"
            "eeg/sub-01_task-film_eeg.edf\t2025-01-02T03:04:05.000000Z\n"
            "beh/sub-01_task-film_video.mp4\t2025-01-02T03:04:06.250000Z\n"
        ),
        "sub-01/eeg/sub-01_task-film_events": (
            "onset\tduration\tsample\ttrial_type\ttrial\tstim_file\tlabel\tvalence\n"
            "1.5\t2.0\t192\tstimulus\t1\tjoy.mp4\tjoy\t7\n"
            "4.5\t2.0\t576\tstimulus\t2\tfear.mp4\tfear\t2\n"
            "7.0\tn/a\tn/a\tpause\tn/a\tn/a\tn/a\tn/a\n"
        ),
        "sub-01/eeg/sub-01_task-film_channels": "name\ttype\tunits\tstatus\n"
        + "".join(f"{name}\tEEG\tuV\t{'bad' if name == 'T7' else 'good'}\n" for name in GENEVA),
    }
    for name, text in tables.items():
        (root / f"{name}.tsv").write_text(text)


def _write_csv(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)

"""The files that Milmer opens, each with the function of the program that reads it."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from milmer_cli.arrays import read_arrays
from milmer_cli.audit.predictions import read_predictions
from milmer_cli.audit.splits import read_splits
from milmer_cli.bundle.document import CONFIG, DOCUMENT, METRICS, SOURCES, WEIGHTS, seal
from milmer_cli.data.labeled_segments import LabeledSegments
from milmer_cli.datasets.deap.bdf import open_deap_bdf, read_stimulus_marks
from milmer_cli.datasets.deap.preprocessed import read_preprocessed
from milmer_cli.datasets.deap.ratings import read_ratings
from milmer_cli.datasets.open_recordings import list_dataset, open_listing
from milmer_cli.device import Device
from milmer_cli.digests import file_digest
from milmer_cli.eeg.array_layout import EegArray
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.io import ReadOptions
from milmer_cli.eeg.preprocess import preprocess_eeg
from milmer_cli.errors import InputError
from milmer_cli.fer.filtering import find_undecodable, usable_images
from milmer_cli.fer.labeled_images import LabeledImage
from milmer_cli.fer.readers.layouts import read_images
from milmer_cli.models import MilmerModel, load_backbone
from milmer_cli.models.image_processor import load_image_processor
from milmer_cli.prediction.manifest import read_requests
from milmer_cli.prediction.recording import open_block
from milmer_cli.preparation.input_check import check_manifest
from milmer_cli.progress import SILENT
from milmer_cli.settings import Settings, load_settings
from milmer_cli.stages.evaluate import evaluate
from milmer_cli.stages.predict import load_model
from milmer_cli.stages.train import train
from milmer_cli.store import PreparedStore, validate_store
from milmer_cli.training.checkpoints import checkpoint_to_resume, required_parts
from milmer_cli.training.fit_fold import new_model, open_bags
from milmer_cli.training.run_dir import CHECKPOINTS, Run
from milmer_cli.video.frames import VideoReader
from milmer_cli.video.probe import probe_video

BUNDLE_FILES = (DOCUMENT, CONFIG, WEIGHTS, METRICS, SOURCES)
VIDEOS = ("mp4", "avi", "mkv", "mov", "ts", "webm")
IMAGES = ("png", "jpg", "tif", "gif", "bmp", "webp", "ppm")
Reader = Callable[[Path, Path], object]
"""Reads a file (first argument) of a corpus (second); raises MilmerError for a file it refuses."""


@dataclass(frozen=True)
class Target:
    """A format.

    Attributes
    ----------
    file
        The file that is changed, relative to the corpus.
    read
        The function of the program.
    output
        Folder that `read` writes to, relative to the corpus; empty for none. It is restored.
    """

    file: str
    read: Reader
    output: str = ""


def _settings(corpus: Path, *overrides: str) -> Settings:
    return load_settings(file=corpus / "settings.yaml", overrides=overrides)


def _eeg(path: Path, corpus: Path) -> None:
    preprocess_eeg(open_block(path), _settings(corpus).eeg)


def _array(path: Path, corpus: Path) -> None:
    array = EegArray.parse("seg(time,channel,2)", 128.0, GENEVA)
    block = open_block(path, options=ReadOptions(array=array))
    preprocess_eeg(block, _settings(corpus).eeg)


def _listed(name: str, *overrides: str) -> Reader:
    """Return the reader of a data set whose folder in the corpus has its name."""

    def read(path: Path, corpus: Path) -> None:
        settings = _settings(corpus, *overrides).data
        listing = list_dataset(name, corpus / name, settings)
        if not listing.rows:
            raise InputError("No trial can be used.")
        recordings = open_listing(listing, settings)
        for participant in recordings.participants():
            recordings.trials(participant)
            for block in recordings.eeg_blocks(participant):
                block.raw.get_data()

    return read


def _eeg_header(path: Path, corpus: Path) -> None:
    _eeg(path.with_suffix(".vhdr"), corpus)


def _deap_bdf(path: Path, corpus: Path) -> None:
    open_deap_bdf(path, read_stimulus_marks(path)).raw.get_data(picks=[0], verbose="error")


def _video(path: Path, corpus: Path) -> None:
    probe_video(path)
    reader = VideoReader(path)
    for _ in reader.frames_at(np.arange(0.05, 2.5, 0.2)):
        pass
    reader.last_frame_decodes()


def _image(path: Path, corpus: Path) -> None:
    if (reason := find_undecodable([LabeledImage(path, "happy", path.name)])[0]) != "":
        raise InputError(reason)


def _images(path: Path, corpus: Path) -> None:
    usable_images([read_images(path)], None, _settings(corpus))


def _image_folder(path: Path, corpus: Path) -> None:
    usable_images([read_images(corpus / "images" / "train")], None, _settings(corpus))


def _store(path: Path, corpus: Path) -> None:
    store = PreparedStore.open(corpus / "store")
    store.segments()
    for name in store.participants:
        with store.participant(name) as participant:
            participant.eeg[:]
            for segment in range(len(participant)):
                participant.faces(segment)
    validate_store(corpus / "store")


@functools.cache
def _untrained(corpus: Path) -> tuple[MilmerModel, LabeledSegments, Device]:
    settings = _settings(corpus)
    labeled = LabeledSegments.open(corpus / "store", settings)
    device = Device.from_settings(settings.run)
    return new_model(labeled, settings, device), labeled, device


def _tokens(path: Path, corpus: Path) -> None:
    model, labeled, device = _untrained(corpus)
    indices = np.arange(len(labeled.labels))
    bags = open_bags(model, labeled, indices, _settings(corpus), device)
    for index in indices:
        bags[index]


def _bundle(path: Path, corpus: Path) -> None:
    source = path if path.suffix == ".zip" else path.parent
    load_model(source).predict(eeg=corpus / "eeg" / "recording.edf", duration_s=4.0)


def _sealed_bundle(path: Path, corpus: Path) -> None:
    """Read a changed file of a bundle whose digest is that of the change, as an attacker writes."""
    document = json.loads((path.parent / DOCUMENT).read_text())
    document["files"][path.name] = file_digest(path)
    try:
        (path.parent / DOCUMENT).write_text(json.dumps(seal(document)))
        _bundle(path, corpus)
    finally:
        shutil.copyfile(corpus / "run" / "model" / DOCUMENT, path.parent / DOCUMENT)


def _sealed_document(path: Path, corpus: Path) -> None:
    """Read a changed bundle.json whose own digest is valid."""
    try:
        document = json.loads(path.read_bytes())
        path.write_text(json.dumps(seal(document)))
    except (ValueError, AttributeError, TypeError, RecursionError):
        pass  # not the JSON of an object: read as it is
    _bundle(path, corpus)


def _run(path: Path, corpus: Path) -> None:
    run = Run.open(corpus / "run")
    run.splits(LabeledSegments.open(corpus / "store", run.settings))
    run.load_model()


def _resume(path: Path, corpus: Path) -> None:
    # the check of `train` that refuses a damaged checkpoint, without what `train` does before
    checkpoint_to_resume(corpus / "unfinished" / CHECKPOINTS, required_parts(1, False), SILENT)
    overrides = ("train.epochs=3", "run.checkpoint_interval_min=1e-9")
    train(corpus / "store", corpus / "unfinished", _settings(corpus, *overrides))


def _evaluation(path: Path, corpus: Path) -> None:
    if read_arrays(path) is None:
        return  # the result is computed again, as if the file was missing
    evaluate(corpus / "store", corpus / "evaluation", _settings(corpus))


def _backbone(path: Path, corpus: Path) -> None:
    load_image_processor(path.parent)
    load_backbone(path.parent)


def _published(path: Path, corpus: Path) -> None:
    MilmerModel.from_published(path)


def _single(read: Callable[[Path], object]) -> Reader:
    return lambda path, corpus: read(path)


def _yaml(path: Path, corpus: Path) -> None:
    load_settings(file=path)


def targets(corpus: Path) -> dict[str, Target]:
    """Return the targets by name; file names with wildcards are resolved in the corpus."""
    eeg = {
        suffix: Target(f"eeg/recording.{suffix}", _eeg) for suffix in ("edf", "bdf", "set", "vhdr")
    }
    run, unfinished = "run/", "unfinished/"
    evaluation, store, checkpoint = "evaluation/", "store/", "unfinished/checkpoints/checkpoint-*/"
    found = {
        **eeg,
        "array mat": Target("eeg/array.mat", _array),
        "array mat 7.3": Target("eeg/array73.mat", _array),
        "amigos mat": Target("amigos/Data_Preprocessed_P01.mat", _listed("amigos")),
        "eav label mat": Target(
            "eav/subject1/EEG/subject1_eeg_label.mat",
            _listed("eav", f"data.eeg_channels={';'.join(GENEVA[:30])}"),
        ),
        "edf+d": Target("eeg/gaps.edf", _eeg),
        "fif": Target("eeg/recording_raw.fif", _eeg),
        "vmrk": Target("eeg/recording.vmrk", _eeg_header),
        "eeg": Target("eeg/recording.eeg", _eeg_header),
        "deap bdf": Target("deap/data_original/s01.bdf", _deap_bdf),
        "deap dat": Target("deap/data_preprocessed_python/s01.dat", _single(read_preprocessed)),
        "deap mat": Target("deap/data_preprocessed_matlab/s01.mat", _single(read_preprocessed)),
        "ratings csv": Target("deap/metadata_csv/participant_ratings.csv", _single(read_ratings)),
        **{s: Target(f"video/face.{s}", _video) for s in VIDEOS},
        **{s: Target(f"images/image.{s}", _image) for s in IMAGES},
        "png 16 bit": Target("images/deep.png", _image),
        "expression folder": Target("images/train/a/0.png", _image_folder),
        "expression csv": Target("tables/fer2013.csv", _images),
        "manifest": Target(
            "tables/manifest.csv", lambda path, corpus: check_manifest(path, _settings(corpus))
        ),
        "mahnob session": Target("mahnob/Sessions/2/session.xml", _listed("mahnob")),
        "mahnob gaze": Target("mahnob/Sessions/2/gaze.tsv", _listed("mahnob")),
        "bids participants": Target("bids/participants.tsv", _listed("bids")),
        "bids scans": Target("bids/sub-01/sub-01_scans.tsv", _listed("bids")),
        **{
            f"bids {name}": Target(f"bids/sub-01/eeg/sub-01_task-film_{name}", _listed("bids"))
            for name in ("events.tsv", "events.json", "channels.tsv", "eeg.json")
        },
        "predict manifest": Target("tables/manifest.csv", _single(read_requests)),
        "audit csv": Target("tables/predictions.csv", _single(read_predictions)),
        "audit splits": Target("tables/splits.csv", _single(read_splits)),
        "settings": Target("settings.yaml", _yaml),
        "store index": Target(store + "index.json", _store),
        "store": Target(store + "s01.h5", _store),
        "face tokens": Target(store + "face-tokens/*/s01-*.npy", _tokens, store + "face-tokens"),
        **{
            f"run {name}": Target(run + name, _run)
            for name in ("settings.yaml", "environment.json", "splits.json")
        },
        **{f"bundle {name}": Target(f"{run}model/{name}", _bundle) for name in BUNDLE_FILES},
        **{
            f"sealed bundle {name}": Target(f"bundle/model/{name}", _sealed_bundle, "bundle/model")
            for name in BUNDLE_FILES[1:]
        },
        "sealed bundle bundle.json": Target(
            f"bundle/model/{DOCUMENT}", _sealed_document, "bundle/model"
        ),
        "bundle zip": Target("bundle/model.zip", _bundle),
        **{
            f"checkpoint {name}": Target(checkpoint + name, _resume, "unfinished")
            for name in (
                "model.safetensors",
                "optimizer.pt",
                "scheduler.pt",
                "rng_state.pth",
                "trainer_state.json",
                "milmer.json",
            )
        },
        "unfinished marker": Target(unfinished + "unfinished.json", _resume, "unfinished"),
        **{
            f"{folder} {name}": Target(f"{folder}/{name}", _backbone)
            for folder in ("swin", "backbone")  # with and without checksums
            for name in ("config.json", "preprocessor_config.json", "model.safetensors")
        },
        "published checkpoint": Target("weights.pth", _published),
    }
    for path in sorted((corpus / "evaluation" / "folds").glob("*"))[:1]:
        found["evaluation result"] = Target(str(path.relative_to(corpus)), _evaluation, evaluation)
    return {name: _resolved(target, corpus) for name, target in found.items()}


def _resolved(target: Target, corpus: Path) -> Target:
    paths = sorted(corpus.glob(target.file))
    if not paths:
        raise FileNotFoundError(f"{corpus} has no {target.file}")
    return Target(str(paths[0].relative_to(corpus)), target.read, target.output)


def restore(target: Target, corpus: Path, original: Path) -> None:
    """Restore what a reader may have changed."""
    if target.output:
        shutil.rmtree(corpus / target.output, ignore_errors=True)
        shutil.copytree(original / target.output, corpus / target.output)
    shutil.copyfile(original / target.file, corpus / target.file)

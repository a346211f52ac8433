"""Two prepared stores for training on the one and testing on the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from milmer_cli.data.labeled_segments import LabeledSegments, open_store
from milmer_cli.data.labels import EXCLUDED
from milmer_cli.data.splits import Fold, holdout
from milmer_cli.eeg.channels import canonical_name
from milmer_cli.errors import InputError, shorten
from milmer_cli.progress import SILENT, Progress
from milmer_cli.settings import Settings
from milmer_cli.store import PreparedStore, Segments
from milmer_cli.store.combined import CombinedStore

_SINGLE = "Each of --train-on and --test-on names another prepared store."


@dataclass(frozen=True, eq=False)
class CrossDataset:
    """The segments of two stores, of which one is for training and the other one for testing.

    Attributes
    ----------
    labeled
        Segments of both stores, with the channels and the classes of both. Participants are named
        after their store.
    tested
        (n_segments,) bool: segments of the store for testing.
    train_store, test_store
        Names of the stores, with which the names of participants start.
    """

    labeled: LabeledSegments
    tested: np.ndarray
    train_store: str
    test_store: str

    @classmethod
    def open(
        cls, train_on: Path, test_on: Path, settings: Settings, progress: Progress = SILENT
    ) -> CrossDataset:
        """Open and check two stores, and match their channels and classes.

        EEG channels are matched by name; those that only one store has are left out, and the
        average reference is computed again. Stimuli of the two stores are different ones. With
        ``data.target=label``, classes are matched by name, and segments of a class that only one
        store has are excluded.

        Parameters
        ----------
        train_on, test_on
            Folders of the stores.
        settings
            ``data``, ``quality`` and ``model`` are used.
        progress
            Receives the differences between the stores.

        Raises
        ------
        InputError
            A store cannot be used, or the stores have different settings, or no channel or fewer
            than two classes in common.
        """
        if settings.data.participants:
            raise InputError(
                "data.participants cannot be combined with --train-on and --test-on, because it "
                "does not say which store it selects from.",
                "Prepare a store of the participants to use, with `milmer prepare --participants`.",
            )
        if train_on.resolve() == test_on.resolve():
            raise InputError(f"--train-on and --test-on are the same store {train_on}.", _SINGLE)
        train, test = _names(train_on, test_on)
        stores = {
            train: open_store(train_on, settings, progress),
            test: open_store(test_on, settings, progress),
        }
        _require_equal_settings(stores)
        channels = _common_channels(stores, settings, progress)
        store = CombinedStore(stores, channels)
        _refuse_shared_recordings(store, stores)
        tables = [store.segments(store.participants_of(name)) for name in (train, test)]
        segments = _join(tables, settings, (train, test), progress)
        labeled = LabeledSegments.of(store, segments, settings, progress)
        tested = np.repeat([False, True], [len(table) for table in tables])
        _require_labeled(labeled, tested, (train, test))
        return cls(labeled, tested, train, test)

    def fold(self, validation_fraction: float, seed: int) -> Fold:
        """Train on the one store and test on the other.

        The validation set consists of participants of the store for training; if it has only one,
        of trials.
        """
        labels = np.where(self.tested, EXCLUDED, self.labeled.labels)
        trained = replace(self.labeled, labels=labels)
        participants = np.unique(self.labeled.segments.participant[labels != EXCLUDED])
        protocol = "participant" if len(participants) > 1 else "trial"
        fold = holdout(trained, protocol, 0.0, validation_fraction, seed)  # type: ignore[arg-type]
        test = np.flatnonzero(self.tested & (self.labeled.labels != EXCLUDED))
        return replace(fold, test=test)


def _names(train_on: Path, test_on: Path) -> tuple[str, str]:
    """Name the stores after their folders, or after the folders above if those are equal."""
    paths = train_on.resolve(), test_on.resolve()
    for part in (lambda path: path.name, lambda path: f"{path.parent.name}-{path.name}"):
        first, second = (re.sub(r"[^A-Za-z0-9_-]+", "-", part(path)).strip("-") for path in paths)
        if first and second and first != second:
            return first, second
    return "train", "test"


def _require_equal_settings(stores: Mapping[str, PreparedStore]) -> None:
    """Refuse stores that were prepared with different settings."""
    first, second = stores.values()
    differences = list(_differences(first.settings, second.settings))
    if not differences:
        return
    described = shorten([f"{key} is {a} and {b}" for key, a, b in differences], 4, "; ")
    key, value, _ = differences[0]
    raise InputError(
        f"{first.folder} and {second.folder} were prepared with different settings: {described}.",
        f"Prepare one of them again, for example with `milmer prepare --out {second.folder} --set "
        f"{key}={value}` and the data set of {second.folder}.",
    )


def _differences(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    for section in ("eeg", "faces"):
        one, other = first.get(section, {}), second.get(section, {})
        for name in dict.fromkeys((*one, *other)):
            if one.get(name) != other.get(name):
                yield f"{section}.{name}", one.get(name), other.get(name)


def _common_channels(
    stores: Mapping[str, PreparedStore], settings: Settings, progress: Progress
) -> tuple[str, ...]:
    """Return the EEG channels that both stores have, in the order of the first."""
    first, second = (_channels(store) for store in stores.values())
    if not first or not second or settings.model.modalities == "face":
        return first or second
    known = {canonical_name(channel) for channel in second}
    common = tuple(channel for channel in first if canonical_name(channel) in known)
    train, test = stores
    if not common:
        raise InputError(
            f"{train} and {test} have no EEG channel in common: expected equal names, got "
            f"{shorten(list(first), 6)} and {shorten(list(second), 6)}.",
            "Rename channels with data.channels_file in `milmer prepare`, or use --modalities "
            "face.",
        )
    plain = all(store.settings["eeg"].get("layout") != "published" for store in stores.values())
    if first != second and not plain:
        raise InputError(
            f"{train} and {test} have different EEG channels, and eeg.layout=published mixes them.",
            "Prepare both with eeg.layout=plain.",
        )
    if len(common) < max(len(first), len(second)):
        progress.note(
            f"{len(common)} EEG channels are in {train} and in {test} and are used: "
            f"{shorten(list(common), 40)}. {train} has {len(first)}, {test} has {len(second)}."
        )
    return common


def _channels(store: PreparedStore) -> tuple[str, ...]:
    """EEG channels of a store; none if no participant has EEG."""
    channels: tuple[str, ...] = max(
        (store.participant(n).channels for n in store.participants), key=len
    )
    return channels


def _refuse_shared_recordings(store: CombinedStore, stores: Mapping[str, PreparedStore]) -> None:
    """Refuse to test on recordings that were also prepared for training."""
    train, test = (
        {n: store.participant(n).sources for n in store.participants_of(s)} for s in stores
    )
    files = {
        digest: name
        for name, sources in train.items()
        for source in sources.values()
        for digest in (*source.eeg, source.video)
        if digest
    }
    shared = {
        f"{files[digest]} and {name}": None
        for name, sources in test.items()
        for source in sources.values()
        for digest in (*source.eeg, source.video)
        if digest in files
    }
    if shared:
        raise InputError(
            "The stores contain the same recordings: expected other data to test on, got equal EEG "
            f"files or videos of {shorten(list(shared), 4, '; ')}.",
            "Remove these participants from one of the stores.",
        )


def _join(
    tables: Sequence[Segments], settings: Settings, names: tuple[str, str], progress: Progress
) -> Segments:
    """Join two tables of segments; stimuli of the second are numbered after those of the first."""
    train, test = tables
    test = replace(test, stimulus=test.stimulus + max(int(train.stimulus.max()), 0))
    if settings.data.target == "label":
        train, test = _match_labels(train, test, names, progress)
    return Segments.concatenate([train, test])


def _match_labels(
    train: Segments, test: Segments, names: tuple[str, str], progress: Progress
) -> tuple[Segments, Segments]:
    """Keep the classes that both tables have, spelled as in the first."""
    spelled = {name.casefold(): name for name in np.unique(train.label).tolist() if name}
    others = {name.casefold(): name for name in np.unique(test.label).tolist() if name}
    shared = {key: name for key, name in spelled.items() if key in others}
    if len(shared) < 2:
        raise InputError(
            f"{names[0]} and {names[1]} have {len(shared)} class{'es' * (len(shared) != 1)} in "
            f"common, expected at least 2: got {shorten(list(spelled.values()))} and "
            f"{shorten(list(others.values()))}.",
            "Use the same names in the column label of both manifests, or another data.target.",
        )
    for store, found in zip(names, (spelled, others), strict=True):
        if missing := [name for key, name in found.items() if key not in shared]:
            progress.note(
                f"Only {store} has the class{'es' * (len(missing) > 1)} {shorten(missing)}: the "
                "segments are not used.",
                "warning",
            )
    return tuple(  # type: ignore[return-value]
        replace(
            table,
            label=np.array([shared.get(name.casefold(), "") for name in table.label.tolist()], str),
        )
        for table in (train, test)
    )


def _require_labeled(labeled: LabeledSegments, tested: np.ndarray, names: tuple[str, str]) -> None:
    for name, rows in zip(names, (~tested, tested), strict=True):
        if not np.any(labeled.labels[rows] != EXCLUDED):
            raise InputError(
                f"No segment of {name} can be used: expected segments with a class and with data "
                "of the model's modalities.",
                "Check data.target, and --modalities.",
            )

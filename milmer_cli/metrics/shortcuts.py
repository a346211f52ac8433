"""Baselines that know only who is recorded or what is shown, and what they say about a model.

Participants differ in how often they report each class, and a stimulus evokes similar reports in
all participants. Where a protocol shares participants or stimuli between training and test, a model
can be accurate without reading any emotion, by recognizing the participant or the stimulus. The
baselines here use only these identities, in the same folds as the model. A model that is not better
than one of them may be such a recognizer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

SHARED = {
    "segment": ("trial", "participant", "stimulus"),
    "trial": ("participant", "stimulus"),
    "session": ("participant", "stimulus"),
    "participant": ("stimulus",),
    "stimulus": ("participant",),
    "participant-stimulus": (),
    "cross-dataset": (),
}
"""Identities that training and test share under each protocol, apart from sessions."""

SHARING_SESSIONS = ("segment", "trial", "stimulus")
"""Protocols under which training and test share recording sessions."""

OVERALL = "majority class"
IDENTITIES = {
    "trial": "trial identity",
    "participant": "participant identity",
    "stimulus": "stimulus identity",
    "session": "session identity",
    "participant and stimulus": "participant and stimulus identity",
}
"""What can be recognized -> name of the baseline that uses it alone."""


def shared_identities(protocol: str, several_sessions: bool) -> tuple[str, ...]:
    """Identities that training and test share under a protocol.

    Parameters
    ----------
    protocol
        The protocol.
    several_sessions
        Whether some participant has several recording sessions. Otherwise the session is the
        participant, and no identity of its own.
    """
    sessions = several_sessions and protocol in SHARING_SESSIONS
    return (*SHARED[protocol], *(("session",) if sessions else ()))


def class_shares(
    labels: np.ndarray, groups: np.ndarray, train: np.ndarray, test: np.ndarray, n_classes: int
) -> np.ndarray:
    """Class shares of each test row's group in the training set, (n_test, n_classes).

    One pseudo-observation with the overall shares is added, so that a group that is not in the
    training set gets the overall shares.

    Parameters
    ----------
    labels
        (n,) classes of all rows.
    groups
        (n,) number of the group of each row, from 0.
    train, test
        Row numbers.
    n_classes
        Number of classes.
    """
    overall = np.bincount(labels[train], minlength=n_classes) / len(train)
    flat = groups[train] * n_classes + labels[train]
    counts = np.bincount(flat, minlength=(int(groups.max()) + 1) * n_classes)
    smoothed = counts.reshape(-1, n_classes) + overall
    return (smoothed / smoothed.sum(axis=1, keepdims=True))[groups[test]]


def identity_predictions(
    labels: np.ndarray,
    identities: Mapping[str, np.ndarray],
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    n_classes: int,
) -> dict[str, np.ndarray]:
    """Predict the class of each test row from identities alone.

    Parameters
    ----------
    labels
        (n,) classes of all rows.
    identities
        Those that training and test share (see `shared_identities`), each (n,) numbers of
        trials, sessions, participants or stimuli from 0.
    folds
        Row numbers of the training and the test set of each fold.
    n_classes
        Number of classes.

    Returns
    -------
    dict
        (n_tested,) classes, one fold after the other, by the names `OVERALL` and in `IDENTITIES`.
        Participant and stimulus are combined by multiplying their class shares and dividing by the
        overall shares (naive Bayes), where both are shared.
    """
    found: dict[str, list[np.ndarray]] = {}
    everywhere = np.zeros(len(labels), dtype=np.int64)
    for train, test in folds:
        overall = class_shares(labels, everywhere, train, test, n_classes)
        shares = {
            name: class_shares(labels, groups, train, test, n_classes)
            for name, groups in identities.items()
        }
        if {"participant", "stimulus"} <= shares.keys():
            both = shares["participant"] * shares["stimulus"] / np.maximum(overall, 1e-12)
            shares["participant and stimulus"] = both
        predictions = {OVERALL: overall, **{IDENTITIES[name]: s for name, s in shares.items()}}
        for name, values in predictions.items():
            found.setdefault(name, []).append(values.argmax(axis=1))
    return {name: np.concatenate(values) for name, values in found.items()}


@dataclass(frozen=True)
class Explanation:
    """What can explain the accuracy under one protocol.

    Attributes
    ----------
    protocol
        The protocol.
    above_majority
        Whether the model is better than the majority class of the training set.
    identity
        The simplest identity whose baseline the model does not beat (a key of `IDENTITIES`); empty
        if it beats all of them, or is not above the majority class.
    """

    protocol: str
    above_majority: bool
    identity: str


def explain(protocol: str, beaten: Mapping[str, bool]) -> Explanation:
    """State what can explain the accuracy under one protocol.

    Parameters
    ----------
    protocol
        The protocol.
    beaten
        For each baseline of `identity_predictions`, whether the model is better (`Comparison`).
    """
    above = beaten.get(OVERALL, False)
    unbeaten = [key for key, name in IDENTITIES.items() if not beaten.get(name, True)]
    return Explanation(protocol, above, unbeaten[0] if above and unbeaten else "")


def verdict(explanations: Sequence[Explanation]) -> str:
    """State in one sentence what can explain the accuracy of a model under one or more protocols.

    An identity is ruled out if the model is better than the majority class, and not explained by
    another identity, under a protocol that does not share it.
    """
    above = [found for found in explanations if found.above_majority]
    if not above:
        return "Nothing to explain: the model is not better than the majority class."
    clean = [found for found in above if not found.identity]
    ruled_out = {
        identity
        for found in clean
        for identity in IDENTITIES
        if not set(identity.split(" and ")) <= set(shared_identities(found.protocol, True))
    }
    candidates = [
        found.identity for found in above if found.identity and found.identity not in ruled_out
    ]
    if clean and len(clean) == len(above):
        return (
            "The identity of participants and stimuli does not explain the accuracy: the model is "
            f"better than the baselines that use only identities, under {_listed(clean)}."
        )
    if clean and not candidates:
        return (
            "An emotion-related signal is the best explanation: the model is better than the "
            f"majority class and every shared identity under {_listed(clean)}."
        )
    identity = candidates[0] if candidates else above[0].identity
    shared = [found for found in above if found.identity == identity]
    absent = [f for f in explanations if not f.above_majority]
    rest = ""
    if absent:
        rest = f"; it is not shown to be above the majority class under {_listed(absent)}"
    explained = f"The identity of the {identity} alone can explain the accuracy"
    return f"{explained} under {_listed(shared)}{rest}."


def _listed(explanations: Sequence[Explanation]) -> str:
    names = [found.protocol for found in explanations]
    return f"the {' and '.join(names)} protocol{'s' if len(names) > 1 else ''}"

"""Draw the ground truth of a data set before any file is written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milmer_cli.datasets.synthetic.config import (
    NEUTRAL_PATTERN,
    QUADRANTS,
    SFREQ_HZ,
    SLOT_S,
    ExpressionSpan,
    ParticipantTruth,
    RandomStream,
    SyntheticConfig,
    SyntheticTruth,
    TrialTruth,
    random_generator,
)

SITE_B_NUMBERS = (29, 24, 23, 30, 25, 31, 26, 32, 27, 28)
"""Order in which the numbers of site B are assigned. Participant 29 comes first, because its file
has most of DEAP's irregularities: no channel labels, high status bits and an extra channel."""
LEAD_IN_S = 5.0
"""Time before the first fixation: start, baseline and synchronization screen (DEAP: minutes)."""
FIXATION_S = 3.5
"""Fixation before a stimulus (DEAP: 5 s); the preprocessed files contain 3 s of it."""
POST_FIXATION_S = 1.0
"""Fixation after a stimulus (DEAP: 3 s)."""
RATING_S = 1.5
"""Duration of the rating screen (DEAP: until the participant has answered)."""
LEAD_OUT_S = 3.0
"""Time after the last rating."""
SLOTS_PER_BLOCK = 10
EXPRESSIONS_PER_BLOCK = 3
MATCHING_PROBABILITY = 0.9
"""Probability, at signal 1, that an expression belongs to the trial; otherwise it is drawn from the
expressions of all patterns."""
INDIVIDUAL_SHARE = 0.4
"""Share of the stimuli whose quadrants are permuted for each participant if ``signal_kind`` is
``emotion``: the same stimulus does not evoke the same emotion in all participants."""
PREFERENCE_SHARE = 0.6
"""Share of trials, at signal 1, with the participant's preferred quadrant if ``signal_kind`` is
``participant``; the quadrants of the others are balanced."""
TRIALS_PER_TIE = 16
PATTERNS_PER_PARTICIPANT = 100
"""Distance between the pattern indices of two participants: more than the number of trials."""


def draw_truth(config: SyntheticConfig) -> SyntheticTruth:
    """Draw the ground truth of a data set.

    Every participant sees all stimuli, in an individual order. Each stimulus has a quadrant, and
    the quadrants are balanced over the stimuli; how far the ratings of a participant follow them
    depends on `SyntheticConfig.signal_kind`. The last trial of the second participant (or of the
    only one) has no video.
    """
    numbers = _participant_numbers(config.participants)
    rng = random_generator(config, RandomStream.STIMULI)
    stimulus_quadrants = rng.permutation(balanced_quadrants(config.trials, rng))
    ties = _draw_ties(config, rng)
    without_video = numbers[min(1, len(numbers) - 1)]
    participants = []
    for index, number in enumerate(numbers):
        preferred = index % len(QUADRANTS)
        quadrants = draw_quadrants(config, number, stimulus_quadrants, preferred)
        participants.append(
            _draw_participant(config, number, quadrants, ties[index], number == without_video)
        )
    return SyntheticTruth(config, tuple(participants))


def balanced_quadrants(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``count`` indices of quadrants, as equally often as possible, (count,) int."""
    return np.resize(rng.permutation(len(QUADRANTS)), count)


def draw_quadrants(
    config: SyntheticConfig, number: int, stimulus_quadrants: np.ndarray, preferred: int
) -> np.ndarray:
    """Draw the quadrant that a participant rates each stimulus into.

    Parameters
    ----------
    config
        ``signal_kind`` states how far the participants agree.
    number
        Number of the participant.
    stimulus_quadrants
        (n_stimuli,) indices in `QUADRANTS`.
    preferred
        Quadrant that the participant prefers if ``signal_kind`` is ``participant``.

    Returns
    -------
    (n_stimuli,) int
    """
    rng = random_generator(config, RandomStream.STIMULI, number)
    quadrants = stimulus_quadrants.copy()
    if config.signal_kind == "emotion":
        n_individual = round(INDIVIDUAL_SHARE * config.trials)
        individual = rng.choice(config.trials, n_individual, replace=False)
        quadrants[individual] = rng.permutation(quadrants[individual])
    elif config.signal_kind == "participant":
        n_preferred = round(PREFERENCE_SHARE * min(config.signal, 1.0) * config.trials)
        others = balanced_quadrants(config.trials - n_preferred, rng)
        quadrants = rng.permutation(np.concatenate([np.full(n_preferred, preferred), others]))
    return quadrants


def _participant_numbers(participants: int) -> list[int]:
    n_site_b = min(participants // 2, len(SITE_B_NUMBERS))
    return [*range(1, participants - n_site_b + 1), *sorted(SITE_B_NUMBERS[:n_site_b])]


def _draw_ties(config: SyntheticConfig, rng: np.random.Generator) -> list[dict[int, int]]:
    """For each participant, map a stimulus to its tied rating (0 valence, 1 arousal)."""
    ties: list[dict[int, int]] = [{} for _ in range(config.participants)]
    stimuli = rng.permutation(config.trials) + 1
    n_ties = max(1, round(config.participants * config.trials / TRIALS_PER_TIE))
    for index in range(n_ties):
        ties[index % config.participants][int(stimuli[index % config.trials])] = index % 2
    return ties


def _draw_participant(
    config: SyntheticConfig,
    number: int,
    quadrants: np.ndarray,
    ties: dict[int, int],
    last_video_missing: bool,
) -> ParticipantTruth:
    rng = random_generator(config, RandomStream.TRIALS, number)
    name = f"s{number:02d}"
    onset_s = LEAD_IN_S
    trials = []
    for trial, stimulus in enumerate(_draw_order(config.trials, rng), start=1):
        # The random term keeps onsets off whole seconds and off the 128-Hz samples of .dat files.
        onset_s += FIXATION_S + rng.uniform(0.0, 0.4)
        onset_sample = round(onset_s * SFREQ_HZ)
        quadrant = int(quadrants[stimulus - 1])
        pattern = {
            "emotion": quadrant,
            "participant": PATTERNS_PER_PARTICIPANT * number,
            "stimulus": stimulus,
            "trial": PATTERNS_PER_PARTICIPANT * number + trial,
        }[config.signal_kind]
        video_missing = not config.video or (last_video_missing and trial == config.trials)
        trials.append(
            TrialTruth(
                trial=trial,
                stimulus=stimulus,
                quadrant=QUADRANTS[quadrant],
                ratings=draw_ratings(quadrant, ties.get(stimulus), rng),
                tied=stimulus in ties,
                onset_sample=onset_sample,
                onset_s=onset_sample / SFREQ_HZ,
                pattern=pattern,
                video=None if video_missing else f"face_video/{name}/{name}_trial{trial:02d}.avi",
                spans=draw_spans(config, pattern, rng),
                mark_hz=5.0 + 0.9 * stimulus if config.marks else None,
            )
        )
        onset_s += config.stimulus_s + POST_FIXATION_S + RATING_S
    duration_s = int(np.ceil(onset_s + LEAD_OUT_S))
    blinks_s = np.cumsum(rng.uniform(1.5, 5.0, size=duration_s))
    return ParticipantTruth(
        name=name,
        number=number,
        site="A" if number <= 22 else "B",
        n_samples=duration_s * SFREQ_HZ,
        blinks_s=tuple(round(float(peak), 3) for peak in blinks_s[blinks_s < duration_s - 1.0]),
        trials=tuple(trials),
    )


def _draw_order(trials: int, rng: np.random.Generator) -> list[int]:
    """Draw an order of presentation that differs from the order of the stimuli if possible."""
    order = rng.permutation(trials) + 1
    while trials > 1 and np.array_equal(order, np.arange(1, trials + 1)):
        order = rng.permutation(trials) + 1
    return [int(stimulus) for stimulus in order]


def draw_ratings(
    quadrant: int, tied_rating: int | None, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Draw valence, arousal, dominance and liking, 1 to 9, within a quadrant.

    Parameters
    ----------
    quadrant
        Index in `QUADRANTS`.
    tied_rating
        Which rating is exactly 5: 0 for valence, 1 for arousal, None for none.
    rng
    """
    valence_sign, arousal_sign = quadrant_signs(quadrant)
    distance = rng.uniform(0.7, 3.9, size=2)
    ratings = [5.0 + valence_sign * distance[0], 5.0 + arousal_sign * distance[1]]
    if tied_rating is not None:
        ratings[tied_rating] = 5.0
    ratings += list(rng.uniform(1.0, 9.0, size=2))
    valence, arousal, dominance, liking = (round(float(rating), 2) for rating in ratings)
    return valence, arousal, dominance, liking


def quadrant_signs(quadrant: int) -> tuple[int, int]:
    """Return the signs of valence and arousal of a quadrant's index: +1 for high, -1 for low."""
    arousal, valence = QUADRANTS[quadrant][:2], QUADRANTS[quadrant][2:]
    return (1 if valence == "HV" else -1), (1 if arousal == "HA" else -1)


def draw_spans(
    config: SyntheticConfig, own_pattern: int, rng: np.random.Generator
) -> tuple[ExpressionSpan, ...]:
    """Of every ten slots of a trial, draw three with an expression and one without a face.

    Parameters
    ----------
    config
        ``stimulus_s`` is the duration, ``signal`` the share of expressions of the trial's pattern.
    own_pattern
        Pattern of the trial (see `TrialTruth`).
    rng
    """
    own_patterns, all_patterns = _expression_patterns(config, own_pattern)
    spans = []
    for block in range(0, round(config.stimulus_s / SLOT_S), SLOTS_PER_BLOCK):
        slots = block + rng.permutation(SLOTS_PER_BLOCK)[: EXPRESSIONS_PER_BLOCK + 1]
        for index, slot in enumerate(slots):
            is_own = rng.uniform() < MATCHING_PROBABILITY * min(config.signal, 1.0)
            # both are drawn, so that the later random numbers do not depend on the signal
            own, other = (int(rng.choice(patterns)) for patterns in (own_patterns, all_patterns))
            start_s, stop_s = slot * SLOT_S, min((slot + 1) * SLOT_S, config.stimulus_s)
            if start_s >= stop_s:
                continue
            pattern: int | None = own if is_own else other
            if index == EXPRESSIONS_PER_BLOCK:
                pattern = None  # the last of the drawn slots shows no face
            spans.append(ExpressionSpan(round(start_s, 3), round(stop_s, 3), pattern))
    return tuple(sorted(spans, key=lambda span: span.start_s))


def _expression_patterns(
    config: SyntheticConfig, own_pattern: int
) -> tuple[Sequence[int], Sequence[int]]:
    """Return the patterns whose expressions belong to a trial, and those of random expressions.

    With an emotion signal, the expressions of both quadrants with the trial's valence belong to it,
    so that the face does not contain arousal.
    """
    if config.signal_kind == "emotion":
        quadrants = range(len(QUADRANTS))
        if own_pattern == NEUTRAL_PATTERN:
            return [own_pattern], quadrants
        valence = quadrant_signs(own_pattern)[0]
        return [q for q in quadrants if quadrant_signs(q)[0] == valence], quadrants
    first = own_pattern - own_pattern % PATTERNS_PER_PARTICIPANT + 1
    return [own_pattern], range(first, first + config.trials)

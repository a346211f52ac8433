"""Draw everything that is to be true of a data set, before any file is made."""

from __future__ import annotations

import numpy as np

from milmer_cli.demo.spec import (
    QUADRANTS,
    SFREQ_HZ,
    SLOT_S,
    DemoSpec,
    DemoTruth,
    ParticipantTruth,
    Span,
    TrialTruth,
)

SITE_B_NUMBERS = (29, 24, 23, 30, 25, 31, 26, 32, 27, 28)
"""In which order site B's numbers are given out: first the one with the most traps."""
LEAD_S = 5.0
"""Before the first fixation: start, baseline, sync screen (DEAP: minutes)."""
FIXATION_S = 3.5
"""Fixation before a stimulus (DEAP: 5 s); the preprocessed files need 3 s of it."""
AFTER_S = 1.0
"""Fixation after a stimulus (DEAP: 3 s)."""
RATING_S = 1.5
"""Rating screen (DEAP: as long as it takes)."""
TAIL_S = 3.0
SLOTS_PER_BLOCK = 10
EXPRESSIVE_PER_BLOCK = 3
OWN_SHARE = 0.5
"""How often people show what they feel, at signal 1; else an expression drawn from all four."""
TRIALS_PER_TIE = 16


def stream(spec: DemoSpec, *keys: int) -> np.random.Generator:
    """Return the random numbers of one purpose, the same whoever draws the others first."""
    return np.random.default_rng([spec.seed, *keys])


def plan(spec: DemoSpec) -> DemoTruth:
    """Draw the truth of a data set.

    The quadrant belongs to the stimulus, balanced over them; every participant sees the stimuli in
    an order of their own. The last trial of the second participant (of the first, when alone) has
    no video.
    """
    numbers = _numbers(spec.participants)
    rng = stream(spec, 0)
    quadrant_of = np.resize(rng.permutation(len(QUADRANTS)), spec.trials)
    quadrant_of = rng.permutation(quadrant_of)
    ties = _ties(spec, rng)
    without_video = numbers[min(1, len(numbers) - 1)]
    return DemoTruth(
        spec,
        tuple(
            _participant(spec, number, quadrant_of, ties[place], number == without_video)
            for place, number in enumerate(numbers)
        ),
    )


def _numbers(participants: int) -> list[int]:
    at_b = min(participants // 2, len(SITE_B_NUMBERS))
    return [*range(1, participants - at_b + 1), *sorted(SITE_B_NUMBERS[:at_b])]


def _ties(spec: DemoSpec, rng: np.random.Generator) -> list[dict[int, int]]:
    """For each participant, stimulus -> the rating (0 valence, 1 arousal) that is exactly 5."""
    ties: list[dict[int, int]] = [{} for _ in range(spec.participants)]
    stimuli = rng.permutation(spec.trials) + 1
    wanted = max(1, round(spec.participants * spec.trials / TRIALS_PER_TIE))
    for count in range(wanted):
        ties[count % spec.participants][int(stimuli[count % spec.trials])] = count % 2
    return ties


def _participant(
    spec: DemoSpec,
    number: int,
    quadrant_of: np.ndarray,
    ties: dict[int, int],
    last_video_missing: bool,
) -> ParticipantTruth:
    rng = stream(spec, 1, number)
    name = f"s{number:02d}"
    order = _order(spec.trials, rng)
    onset_s = LEAD_S
    trials = []
    for trial, stimulus in enumerate(order, start=1):
        # Onsets fall on no whole second and on no sample of the 128-Hz files' own grid.
        onset_s += FIXATION_S + rng.uniform(0.0, 0.4)
        onset_sample = round(onset_s * SFREQ_HZ)
        quadrant = int(quadrant_of[stimulus - 1])
        pattern = {"quadrant": quadrant, "stimulus": stimulus, "trial": 100 * number + trial}
        missing = not spec.video or (last_video_missing and trial == spec.trials)
        trials.append(
            TrialTruth(
                trial=trial,
                stimulus=stimulus,
                quadrant=QUADRANTS[quadrant],
                ratings=_ratings(quadrant, ties.get(stimulus), rng),
                tied=stimulus in ties,
                onset_sample=onset_sample,
                onset_s=onset_sample / SFREQ_HZ,
                pattern=pattern[spec.signal_kind],
                video=None if missing else f"face_video/{name}/{name}_trial{trial:02d}.avi",
                spans=_spans(spec, pattern[spec.signal_kind], rng),
                mark_hz=5.0 + 0.9 * stimulus if spec.marks else None,
            )
        )
        onset_s += spec.stimulus_s + AFTER_S + RATING_S
    seconds = int(np.ceil(onset_s + TAIL_S))
    gaps = rng.uniform(1.5, 5.0, size=seconds)
    blinks = np.cumsum(gaps)
    return ParticipantTruth(
        name=name,
        number=number,
        site="A" if number <= 22 else "B",
        n_samples=seconds * SFREQ_HZ,
        blinks_s=tuple(round(float(b), 3) for b in blinks[blinks < seconds - 1.0]),
        trials=tuple(trials),
    )


def _order(trials: int, rng: np.random.Generator) -> list[int]:
    """Draw an order of presentation that is not the order of the stimuli, if there is one."""
    order = rng.permutation(trials) + 1
    while trials > 1 and np.array_equal(order, np.arange(1, trials + 1)):
        order = rng.permutation(trials) + 1
    return [int(stimulus) for stimulus in order]


def _ratings(
    quadrant: int, tie: int | None, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    valence_sign, arousal_sign = signs(quadrant)
    distance = rng.uniform(0.7, 3.9, size=2)
    drawn = [5.0 + valence_sign * distance[0], 5.0 + arousal_sign * distance[1]]
    if tie is not None:
        drawn[tie] = 5.0
    drawn += list(rng.uniform(1.0, 9.0, size=2))
    valence, arousal, dominance, liking = (round(float(rating), 2) for rating in drawn)
    return valence, arousal, dominance, liking


def signs(quadrant: int) -> tuple[int, int]:
    """Return the signs of valence and arousal, +1 for high, of a quadrant's index."""
    arousal, valence = QUADRANTS[quadrant][:2], QUADRANTS[quadrant][2:]
    return (1 if valence == "HV" else -1), (1 if arousal == "HA" else -1)


def _spans(spec: DemoSpec, own: int, rng: np.random.Generator) -> tuple[Span, ...]:
    """Of every ten slots three show an expression and one no face; else the face is neutral."""
    base = own - own % 100
    pool = range(4) if spec.signal_kind == "quadrant" else range(base + 1, base + spec.trials + 1)
    spans = []
    for block in range(0, round(spec.stimulus_s / SLOT_S), SLOTS_PER_BLOCK):
        slots = block + rng.permutation(SLOTS_PER_BLOCK)[: EXPRESSIVE_PER_BLOCK + 1]
        for place, slot in enumerate(slots):
            stranger = int(rng.choice(pool))
            shown = own if rng.uniform() < OWN_SHARE * min(spec.signal, 1.0) else stranger
            start, stop = slot * SLOT_S, min((slot + 1) * SLOT_S, spec.stimulus_s)
            if start < stop:
                pattern = shown if place < EXPRESSIVE_PER_BLOCK else None
                spans.append(Span(round(start, 3), round(stop, 3), pattern))
    return tuple(sorted(spans, key=lambda span: span.start_s))

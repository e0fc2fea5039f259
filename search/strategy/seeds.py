"""Seeds of trials, derived from the study's seed and the trial's number."""

import numpy as np

SAMPLE, TRAINING, CONFIRMATION = 0, 1, 2
"""Streams of random numbers, each seeded by a study's seed, a trial's number and the stream."""


def derive_seed(study_seed: int, trial_number: int, stream: int) -> int:
    """Return the seed of a trial, 0 to 2³¹ − 1."""
    sequence = np.random.SeedSequence((study_seed, trial_number, stream))
    return int(sequence.generate_state(1)[0] >> 1)

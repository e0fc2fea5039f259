"""Seeds: each trial's own follow from the study's seed and the trial's number."""

import numpy as np

SAMPLE, TRAINING, CONFIRMATION = 0, 1, 2
"""Streams of random numbers that a study's seed and a trial's number are joined with."""


def derive_seed(study_seed: int, trial_number: int, stream: int) -> int:
    """Return a trial's own seed, 0 to 2³¹ − 1."""
    sequence = np.random.SeedSequence((study_seed, trial_number, stream))
    return int(sequence.generate_state(1)[0] >> 1)

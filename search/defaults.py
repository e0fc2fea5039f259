"""Defaults of study files, options and functions; no imports, so that `--help` is fast."""

from typing import Final

STORE_URL = "sqlite:///convsearch.db"
MAX_FILES_MB = 4096

IMAGE_SIZE = 32
COLOR: Final = "auto"
RESIZE: Final = "auto"
WINDOW = "auto"
SLICES = "axial"
MAX_IMAGES = 3000
SPLIT = (0.7, 0.15, 0.15)
SEED = 0
PUBLIC_SET_SIZE = 28

TRANSFER_IMAGE_SIZE = 96
WEIGHTS = "imagenet"

MAX_EPOCHS = 20
PATIENCE = 5
PLATEAU_PATIENCE = 3
PLATEAU_FACTOR = 0.5
MIN_LEARNING_RATE = 1e-6

SAMPLER: Final = "tpe"
PRUNER = "auto"
MAX_PARAMETERS = 10_000_000

N_TRIALS = 30
"""Used if neither trials nor a timeout is given."""

PRIORITY = 0
WORKERS: Final = "auto"
GPUS = "auto"
TRAINERS_PER_GPU = 1
WARM_START_TRIALS = 5

CONFIRM_TOP = 5
CONFIRM_SEEDS = 5

DASHBOARD_HOST = "127.0.0.1"
DASHBOARD_PORT = 8080

"""Files that all workers of a study share: checkpoints, prepared images, weights, logs.

They are kept in a folder, in the database or in S3; checkpoints are written by `search.training`.
"""

from search.artifacts.checkpoints import best_trial_numbers, trial_numbers_to_keep
from search.artifacts.shared_inputs import (
    fetch_prepared,
    fetch_weights,
    share_inputs,
    shared_files,
)
from search.artifacts.stores import ArtifactStore, open_artifact_store, read_artifacts_url
from search.artifacts.study_artifacts import Artifacts

__all__ = [
    "ArtifactStore",
    "Artifacts",
    "best_trial_numbers",
    "fetch_prepared",
    "fetch_weights",
    "open_artifact_store",
    "read_artifacts_url",
    "share_inputs",
    "shared_files",
    "trial_numbers_to_keep",
]

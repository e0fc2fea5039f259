"""Artifacts: files too large for the store's tables, where all workers of a study find them."""

from search.artifacts.checkpoints import best_numbers, numbers_to_keep
from search.artifacts.shared_inputs import fetch_prepared, fetch_weights, share, shared_files
from search.artifacts.stores import ArtifactStore, open_artifact_store, read_artifacts_url
from search.artifacts.study_artifacts import Artifacts

__all__ = [
    "ArtifactStore",
    "Artifacts",
    "best_numbers",
    "fetch_prepared",
    "fetch_weights",
    "numbers_to_keep",
    "open_artifact_store",
    "read_artifacts_url",
    "share",
    "shared_files",
]

"""Facts about a study's images for its report and its dashboard."""

import logging
from collections.abc import Mapping

import numpy as np

from analysis.report.facts import DataFacts
from search.artifacts import Artifacts, fetch_prepared
from search.data import PreparedSet
from search.errors import ArtifactError, SearchError
from search.reports.example_images import sample_images
from search.settings.stored import StudySettings
from storage import Store, StoreError

logger = logging.getLogger(__name__)


def load_dataset_facts(store: Store, study: str) -> DataFacts | None:
    """Load facts about a study's images, but no modules or weights; None if not available.

    Raises:
        StoreError: If the store fails.
        ArtifactError: If the images are in an artifact store that fails.
    """
    try:
        settings = StudySettings.load(store, study)
        artifact_store = Artifacts.of_study(settings, store, study).store
        data = {
            key: fetch_prepared(artifact_store, images) for key, images in settings.images.items()
        }
        return describe_images(settings, data)
    except (StoreError, ArtifactError):
        raise
    except (SearchError, OSError) as error:
        logger.warning("the images of %s are not shown: %s", study, error)
        return None


def describe_images(
    settings: StudySettings, data: Mapping[str, PreparedSet], *, with_names: bool = False
) -> DataFacts:
    """Return facts about a study's images: those for training from scratch, or the only ones.

    `with_names` adds the names of excluded files.
    """
    images = data.get("scratch") or next(iter(data.values()))
    metadata = images.metadata
    left_out = [*metadata["broken"], *(name for name, _ in metadata["duplicates"])]
    left_out += [name for names in metadata["conflicts"] for name in names]
    own = metadata.get("own_splits")
    return DataFacts(
        kind=metadata["kind"],
        classes=images.classes,
        counts={split: _count(images, split) for split in images.counts},
        image_shapes={name: it.image_shape for name, it in data.items()},
        fingerprint=images.fingerprint,
        n_duplicates=len(metadata["duplicates"]),
        n_conflicts=len(metadata["conflicts"]),
        n_leaks=metadata.get("n_leaks", 0),
        has_weights=images.train_weights() is not None,
        baseline=metadata.get("baseline"),
        n_broken=len(metadata["broken"]),
        split=None if own or own is None else settings.data.split,
        is_split_known=own is not None,
        seed=settings.data.seed,
        samples=tuple(sample_images(images)),
        names_left_out=tuple(left_out) if with_names else (),
    )


def _count(images: PreparedSet, split: str) -> dict[str, int]:
    counts = np.bincount(images.labels(split), minlength=images.n_classes)
    return dict(zip(images.classes, map(int, counts), strict=True))

"""Facts about a study's images for its report and its dashboard."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.report.facts import DataFacts
from analysis.report.preparation import Preparation, Scaling
from search.artifacts import Artifacts, fetch_prepared
from search.data import DataSettings, PreparedSet
from search.data.manifest_columns import NONE
from search.data.pixel_values import OWN
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
        baseline=settings.baseline,
        n_broken=len(metadata["broken"]),
        split=None if own or own is None else settings.data.split,
        is_split_known=own is not None,
        seed=settings.data.seed,
        samples=tuple(sample_images(images)),
        preparation=_describe_preparation(settings.data, images),
        names_left_out=tuple(left_out) if with_names else (),
    )


def _count(images: PreparedSet, split: str) -> dict[str, int]:
    counts = np.bincount(images.labels(split), minlength=images.n_classes)
    return dict(zip(images.classes, map(int, counts), strict=True))


def _describe_preparation(settings: DataSettings, images: PreparedSet) -> Preparation:
    """Return how images were made and chosen, without values that may name files or people."""
    n_groups, n_divided, n_alone = _count_groups(images)
    leaks = "allowed" if settings.allow_leaks else "fixed" if settings.fix_leaks else ""
    scaled = images.pixel_range
    return Preparation(
        scaling=_scaling(images),
        pixel_range=scaled if isinstance(scaled, tuple) else None,
        window=settings.window,
        resize=images.metadata.get("resize"),
        color=settings.color,
        n_groups=n_groups,
        n_divided_groups=n_divided,
        n_without_group=n_alone,
        groups_from=_group_origin(settings) if n_groups else "",
        chosen_classes=settings.classes,
        merged_classes=settings.merge,
        positive=settings.positive,
        labels_from="masks" if settings.masks else "paths" if settings.label_from else "",
        slices="" if settings.slices == _default("slices") else settings.slices,
        volume=settings.volume,
        pages=settings.pages,
        ignores_own_splits=settings.own_splits == "ignore",
        has_split_lists=bool(settings.split_list),
        leaks=leaks,
        max_images=settings.max_images if images.metadata.get("is_drawn") else None,
        n_conditions=len(settings.where),
        n_exclusions=len(settings.exclude),
    )


def _default(key: str) -> Any:
    return DataSettings.model_fields[key].default


def _scaling(images: PreparedSet) -> Scaling:
    if "pixel_range" not in images.metadata:
        return "unknown"
    if images.pixel_range is None:
        return "none"
    return "image" if images.pixel_range == OWN else "set"


def _count_groups(images: PreparedSet) -> tuple[int, int, int]:
    """Return the numbers of groups, of those in several splits, and of images without one.

    An image without a group has a number of its own, above those of the groups.
    """
    found = [np.array(images.groups(split) or (), np.int64) for split in images.counts]
    largest = images.metadata.get("n_groups", np.inf)
    by_split = [np.unique(it[it <= largest]) for it in found]
    n_splits = np.unique(np.concatenate(by_split), return_counts=True)[1]
    n_alone = sum(int((it > largest).sum()) for it in found)
    return len(n_splits), int((n_splits > 1).sum()), n_alone


def _group_origin(settings: DataSettings) -> str:
    if settings.group_from:
        return "paths"
    if settings.group_column not in {"", NONE}:
        return "column"
    return "source" if settings.group_tag in {"auto", "none"} else settings.group_tag

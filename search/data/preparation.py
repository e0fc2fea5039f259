"""Preparing a source: loading its set from the cache, or selecting and resizing its images."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from search.data.cache import is_cached, write_cache_file
from search.data.kept_summary import keep_summary, summary_path
from search.data.open_source import open_source
from search.data.prepared_file import (
    FORMAT_VERSION,
    PreparedSet,
    Split,
    fingerprint,
    write_prepared,
)
from search.data.quotas import class_quotas
from search.data.selection import Selection, n_channels, select
from search.data.settings import DataSettings
from search.data.shortcuts import intensity_baseline
from search.data.source_api import SPLITS, Progress, Source, UnreadableImage
from search.data.statistics import channel_statistics
from search.data.summary import describe_images, find_all_twins, summarize
from search.errors import DataError

if TYPE_CHECKING:
    from search.data.image_reader import ImageReader, PixelRule

MAX_BYTES = 8 * 2**30
"""Resized pixels are in two files of the cache folder until they are written to a third."""
RULES_VERSION = 4
"""Of what is prepared from a source: sets that were prepared by other rules are not used."""

logger = logging.getLogger(__name__)


def prepare(
    settings: DataSettings, cache_dir: Path, progress: Progress | None = None
) -> PreparedSet:
    """Return the prepared set of a source; images are decoded only if it is not in the cache.

    A cached set is used while settings and source are the same: paths, sizes and modification
    times of files, or the version of `nilearn` for the demo set. A file that is rewritten with the
    same size and modification time is not noticed.

    Raises:
        DataError: If the source or the cache folder cannot be used.
    """
    from search.data.image_reader import ImageReader  # Loads Pillow.

    source = open_source(settings, progress)
    path = prepared_path(source, settings, cache_dir)
    found = _open_cached(path)
    if found is not None:
        return found
    n_images = sum(class_quotas(source, settings).values())
    _check_size(n_images, settings)
    reader = ImageReader(source, settings, progress, n_expected=n_images, cache_dir=cache_dir)
    selection = select(source, settings, reader.inspect)
    rule = choose_rule(reader, selection)
    notes = describe_images(source, settings, selection, rule)
    splits = _assemble(source, settings, reader, selection, rule)
    metadata = _describe(source, settings, selection, splits) | {
        "pixel_range": rule.pixel_range,
        "resize": rule.fit,
        "is_drawn": selection.n_drawn < len(source.items),
        "warnings": [*source.warnings, *notes, *selection.leak_warnings],
    }
    write_cache_file(path, lambda file: write_prepared(file, splits, metadata))
    if selection.n_drawn == len(source.items):  # All that `data inspect` shows is known.
        infos = [
            reader.infos.get(i) or UnreadableImage(selection.broken[item.name])
            for i, item in enumerate(source.items)
        ]
        twins = find_all_twins(source, reader.infos, selection)
        summary = summarize(
            source, settings, infos, selection, rule=rule, twins=twins, notes=notes
        )
        keep_summary(summary_path(path), source, summary)
    logger.info("prepared %s as %s", settings.source, path)
    return PreparedSet.open(path)


def prepared_path(source: Source, settings: DataSettings, cache_dir: Path) -> Path:
    """Return the file of a set, named by a hash of the source's identity and the settings."""
    parts = {
        "format": FORMAT_VERSION,
        "rules": RULES_VERSION,
        "kind": source.kind,
        "identity": source.identity(),
        "settings": settings.model_dump(mode="json", exclude={"source"}),
    }
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
    return cache_dir / f"{key}.safetensors"


def _check_size(n_images: int, settings: DataSettings) -> None:
    n_bytes = n_images * settings.image_size**2 * (1 if settings.color == "grey" else 3)
    if n_bytes > MAX_BYTES:
        raise DataError(
            f"Expected a prepared set of at most {MAX_BYTES / 2**30:.0f} GiB. Received:"
            f" {n_bytes / 2**30:.1f} GiB for {n_images:,} images of {settings.image_size} px."
            " Lower --max-images or --image-size."
        )


def _groups(
    source: Source, indices: Sequence[int], numbers: Mapping[str, int]
) -> NDArray[np.int64] | None:
    """Return the number of each image's group; an image without one has a number of its own."""
    if not numbers.keys() - {""}:
        return None
    groups = (source.items[i].group for i in indices)
    alone = len(numbers)
    return np.array(
        [numbers[it] if it else alone + i for it, i in zip(groups, indices, strict=True)], np.int64
    )


def _weights(source: Source, indices: Sequence[int]) -> NDArray[np.float32] | None:
    """Return the weights of images in the loss, with a mean of 1; None if all are the same.

    Learning rates then mean the same as without weights.
    """
    weights = np.array([source.items[i].weight for i in indices])
    if (weights == weights[0]).all():
        return None
    return np.asarray(weights / weights.mean(), np.float32)


def choose_rule(reader: "ImageReader", selection: Selection) -> "PixelRule":
    """Return the rule for the pixels of a selection."""
    used = [i for indices in selection.splits.values() for i in indices]
    return reader.choose_rule(used, selection.splits["train"])


def _open_cached(path: Path) -> PreparedSet | None:
    if not is_cached(path):
        return None
    try:
        found = PreparedSet.open(path)
        found.verify()
    except DataError:
        logger.warning("%s is damaged, so its source is prepared again", path)
        return None
    return found


def _assemble(
    source: Source,
    settings: DataSettings,
    reader: "ImageReader",
    selection: Selection,
    rule: "PixelRule",
) -> dict[str, Split]:
    channels = n_channels(settings, selection)
    numbers = {group: n for n, group in enumerate(sorted({it.group for it in source.items}))}
    splits = {}
    for name in SPLITS:
        indices = selection.splits[name]
        labels = np.array([source.items[i].label for i in indices], np.int64)
        images = reader.images(indices, channels, rule)
        weights = _weights(source, indices) if name == "train" else None
        splits[name] = Split(images, labels, _groups(source, indices, numbers), weights)
    return splits


def _describe(
    source: Source,
    settings: DataSettings,
    selection: Selection,
    splits: Mapping[str, Split],
) -> dict[str, Any]:
    """Return the metadata of a prepared set."""
    with ThreadPoolExecutor(2) as pool:  # Hashing, sorting and summing release the GIL.
        hashed = pool.submit(fingerprint, source.classes, splits)
        baseline = pool.submit(intensity_baseline, splits["train"], splits["val"])
        mean, std = channel_statistics(splits["train"].images)
    return {
        "format_version": FORMAT_VERSION,
        "fingerprint": hashed.result(),
        "classes": list(source.classes),
        "mean": mean,
        "std": std,
        "kind": source.kind,
        "settings": settings.model_dump(mode="json"),
        "counts": {name: len(split.labels) for name, split in splits.items()},
        "broken": selection.broken,
        "duplicates": selection.duplicates,
        "conflicts": selection.conflicts,
        "n_leaks": selection.n_leaks,
        "baseline": round(baseline.result(), 6),
        "n_groups": len({item.group for item in source.items} - {""}),
        "own_splits": sorted({item.split for item in source.items} - {""}),
    }

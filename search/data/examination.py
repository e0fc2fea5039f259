"""Examination of a source: reading all of its images, as `data inspect` does."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from search.data.kept_summary import keep_summary, load_summary, summary_path
from search.data.leaks import LeakError
from search.data.near_duplicates import Twins
from search.data.open_source import open_source
from search.data.preparation import choose_rule, prepared_path
from search.data.selection import Inspector, Selection, select
from search.data.settings import DataSettings
from search.data.source_api import ImageInfo, Progress, Source
from search.data.summary import SourceSummary, describe_images, find_all_twins, summarize

if TYPE_CHECKING:
    from search.data.image_reader import ImageReader, PixelRule


@dataclass(frozen=True, slots=True)
class ExaminedSource:
    """A source after all of its images were read.

    Attributes:
        reader: Its reader, which can read images again.
        selection: The images that a search would use.
        rule: The rule for their pixels.
        twins: Near duplicates among all readable images, by their positions in the items.
        summary: What `data inspect` shows.
    """

    source: Source
    settings: DataSettings
    reader: "ImageReader"
    selection: Selection
    rule: "PixelRule"
    twins: tuple[Twins, ...]
    summary: SourceSummary

    @property
    def infos(self) -> Mapping[int, ImageInfo]:
        """Facts about all readable images, by their positions in the items."""
        return self.reader.infos

    def split_of(self) -> dict[int, str]:
        """Return the split of each image that a search would use."""
        return {i: split for split, indices in self.selection.splits.items() for i in indices}

    def as_network_input(
        self, index: int, levels: NDArray[np.uint8], size: int | None = None
    ) -> NDArray[np.uint8]:
        """Return an image, given from 0 to 255, as networks see it, or of another size."""
        from search.data.pixels import as_network_input  # Loads Pillow.

        color, channels = self.settings.color, self.summary.used_channels
        has_color = color == "rgb" or (color == "auto" and self.infos[index].has_color)
        return as_network_input(
            levels,
            size or self.settings.image_size,
            channels,
            self.rule.fit,
            as_grey=channels == 1 or not has_color,
        )


def inspect_source(
    settings: DataSettings, progress: Progress | None = None, *, cache_dir: Path | None = None
) -> SourceSummary:
    """Read every image of a source and summarize them.

    The summary is kept in `cache_dir` if that folder is there, and is read from it while settings
    and source are the same. The folder is not made: that is for commands that say who may read it.

    Raises:
        DataError: If the source cannot be used.
    """
    source = open_source(settings, progress)
    if cache_dir is None or not os.access(cache_dir, os.R_OK | os.X_OK):
        return _examine(source, settings, progress).summary
    path = summary_path(prepared_path(source, settings, cache_dir))
    found = load_summary(path, source)
    if found is None:
        found = _examine(source, settings, progress).summary
        keep_summary(path, source, found)
    return found


def examine_source(settings: DataSettings, progress: Progress | None = None) -> ExaminedSource:
    """Read every image of a source; also return what its summary was made from.

    Raises:
        DataError: If the source cannot be used.
    """
    return _examine(open_source(settings, progress), settings, progress)


def _examine(source: Source, settings: DataSettings, progress: Progress | None) -> ExaminedSource:
    from search.data.image_reader import ImageReader  # Loads Pillow.

    n_images = len(source.items)
    reader = ImageReader(source, settings, progress, n_expected=n_images)
    infos = reader.inspect(range(n_images))
    selection, refusal = _select(source, settings, lambda indices: [infos[i] for i in indices])
    rule = choose_rule(reader, selection)
    twins = find_all_twins(source, reader.infos, selection)
    notes = describe_images(source, settings, selection, rule)
    summary = summarize(source, settings, infos, selection, rule=rule, twins=twins, notes=notes)
    summary = replace(summary, warnings=(*summary.warnings, *refusal))
    return ExaminedSource(source, settings, reader, selection, rule, twins, summary)


def _select(
    source: Source, settings: DataSettings, inspect: Inspector
) -> tuple[Selection, list[str]]:
    """Select images as a search would; also return why a search would be refused, if it would."""
    try:
        return select(source, settings, inspect), []
    except LeakError as error:
        allowed = settings.model_copy(update={"allow_leaks": True})
        advice = str(error).splitlines()[-1]
        return select(source, allowed, inspect), [f"a search would not start: {advice}"]

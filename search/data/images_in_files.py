"""Images in files that may have several: slices of volumes, pages of TIFF files, DICOM frames.

Those of one file are a group.
"""

from collections.abc import Sequence
from typing import NamedTuple

from search.data.decode import EXTENSIONS as PICTURES
from search.data.file_names import extension_of
from search.data.parallel_map import map_each
from search.data.read_image import (
    TIFF,
    Frame,
    count_frames,
    count_pages,
    is_dicom,
    may_be_dicom,
)
from search.data.settings import ALL_PAGES, FIRST_PAGE, DataSettings, no_meaning
from search.data.source_api import Progress
from search.data.volumes.volume import EXTENSIONS as VOLUMES
from search.errors import DataError
from spaces.wording import plural

GROUP_NOTE = (
    "the images of a file are a group: if a patient has several files, --group-from finds the"
    " patient in their paths"
)


class ImageInFile(NamedTuple):
    """An image: the position of its file, which image of it, and its group, empty for none."""

    position: int
    frame: Frame = None
    group: str = ""


def find_images_in_files(
    paths: Sequence[str],
    names: Sequence[str],
    settings: DataSettings,
    notes: list[str],
    progress: Progress | None = None,
    *,
    has_groups: bool = False,
) -> list[ImageInFile]:
    """Return the images that are used of some files, in the order of the files.

    `has_groups` says that a table has the groups.

    Raises:
        DataError: If no volume has the slices that are wanted, or settings are of files that are
            not there.
    """
    extensions = [extension_of(path) for path in paths]
    volumes = [i for i, extension in enumerate(extensions) if extension in VOLUMES]
    tiffs = [i for i, extension in enumerate(extensions) if extension in TIFF]
    for there, what, keys in (
        (volumes, "NIfTI files or MetaImages", ("slices", "volume")),
        (tiffs, "TIFF files", ("pages",)),
    ):
        for key in keys:
            if not there and getattr(settings, key) != DataSettings.model_fields[key].default:
                raise no_meaning(settings, key, f"which has no {what}")
    found: dict[int, list[ImageInFile]] = {i: [ImageInFile(i)] for i in range(len(paths))}
    if volumes:
        from search.data.volumes.series import find_slices

        found |= {i: [] for i in volumes}
        slices = find_slices(
            [paths[i] for i in volumes], [names[i] for i in volumes], settings, progress
        )
        notes += slices.notes
        for it in slices.images:
            position = volumes[it.position]
            found[position].append(ImageInFile(position, it.slice, it.group))
    if tiffs and settings.pages != FIRST_PAGE:
        found |= _find_pages(paths, tiffs, settings, notes)
    unknown = [i for i, extension in enumerate(extensions) if extension not in PICTURES]
    found |= _find_frames(paths, unknown)
    images = [image for i in range(len(paths)) for image in found[i]]
    if tiffs and paths and not images:
        raise DataError(f"No file has a page {settings.pages} (--pages).")
    if any(it.group for it in images) and not (settings.group_from or has_groups):
        notes.append(GROUP_NOTE)
    return images


def _find_frames(paths: Sequence[str], unknown: Sequence[int]) -> dict[int, list[ImageInFile]]:
    """Return the frames of each DICOM file that has several."""
    files = [i for i in unknown if may_be_dicom(paths[i]) and is_dicom(paths[i])]
    counts = map_each(count_frames, [paths[i] for i in files])
    return {
        i: [ImageInFile(i, number, f"file #{i + 1}") for number in range(n_frames)]
        for i, n_frames in zip(files, counts, strict=True)
        if n_frames > 1
    }


def _find_pages(
    paths: Sequence[str],
    tiffs: Sequence[int],
    settings: DataSettings,
    notes: list[str],
) -> dict[int, list[ImageInFile]]:
    """Return the pages that are used of each TIFF file; a broken file counts as one page."""
    found: dict[int, list[ImageInFile]] = {}
    n_short = 0
    counts = map_each(count_pages, [paths[i] for i in tiffs])
    for position, n_pages in zip(tiffs, counts, strict=True):
        if settings.pages == ALL_PAGES:
            several = n_pages > 1
            group = f"file #{position + 1}" if several else ""
            numbers: Sequence[Frame] = range(n_pages) if several else (None,)
            found[position] = [ImageInFile(position, number, group) for number in numbers]
        elif int(settings.pages) <= n_pages:
            found[position] = [ImageInFile(position, int(settings.pages) - 1)]
        else:
            found[position] = []
            n_short += 1
    if n_short:
        fewer = "it has" if n_short == 1 else "they have"
        notes.append(
            f"{plural(n_short, 'TIFF file')} left out: {fewer} fewer than {settings.pages} pages"
        )
    elif settings.pages == ALL_PAGES:
        n_images = sum(len(images) for images in found.values())
        notes.append(f"{plural(len(tiffs), 'TIFF file')} with {plural(n_images, 'page')}")
    return found

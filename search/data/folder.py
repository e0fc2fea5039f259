"""Images from a folder, whose subfolders name their classes."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from search.data.groups import describe_found_groups, find_groups
from search.data.image_files import FileOnDisk, ImageFiles
from search.data.images_in_files import find_images_in_files
from search.data.label_tables import check_label_tables
from search.data.layout import LabeledFile, read_layout
from search.data.listing import FileListing, ImageFile, list_files
from search.data.read_image import Frame, frame_name, frame_number
from search.data.settings import DataSettings, no_meaning
from search.data.source_api import Facts, Item, Progress
from spaces.wording import first_of, plural


class FolderSource:
    """Image files below a folder, which are listed first and decoded later."""

    kind = "folder"
    guessed: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self, root: Path, settings: DataSettings, progress: Progress | None = None
    ) -> None:
        """List the images; raise `DataError` if their folders are not those of classes."""
        listing = list_files(root, settings.exclude)
        self.warnings = list(_describe_left_out(listing))
        if settings.masks:
            images = _label_by_masks(root, listing.files, settings, self.warnings, progress)
        else:
            labeled = _label_by_folders(root, listing.files, settings, self.warnings)
            images = _find_images(root, labeled, settings, self.warnings, progress)
        images.sort(key=lambda it: (it.labeled.file.parts, frame_number(it.frame)))
        self.classes = tuple(sorted({image.labeled.class_name for image in images}))
        labels = {name: label for label, name in enumerate(self.classes)}
        pattern = settings.group_from
        if pattern:
            groups = find_groups([image.labeled.file.name for image in images], pattern)
            self.warnings += describe_found_groups(
                groups, [image.labeled.class_name for image in images]
            )
            images = [it._replace(group=g) for it, g in zip(images, groups, strict=True)]
        self.items: Sequence[Item] = [
            Item(
                it.name,
                labels[it.labeled.class_name],
                it.labeled.split,
                it.group,
                "" if it.frame is None else it.labeled.file.name,
                facts=it.facts,
            )
            for it in images
        ]
        n_used = Counter(it.labeled.file.parts for it in images)
        self._files = ImageFiles(
            root,
            [
                FileOnDisk(file.name, file.size, file.modified_ns, it.frame, n_used[file.parts])
                for it in images
                for file in (it.labeled.file,)
            ],
        )
        self._is_labeled_by_masks = bool(settings.masks)
        self.n_bytes = self._files.n_bytes
        self.read = self._files.read

    def identity(self) -> str:
        """Return a hash of the files, and of the labels if masks say them."""
        files = self._files.identity()
        if not self._is_labeled_by_masks:
            return files
        labels = repr([item.label for item in self.items])
        return f"{files} {hashlib.sha256(labels.encode()).hexdigest()}"


class FolderImage(NamedTuple):
    """An image: its labeled file, name, frame, None if it is the only one, group and facts."""

    labeled: LabeledFile
    name: str
    frame: Frame = None
    group: str = ""
    facts: Facts = ()


def _label_by_folders(
    root: Path, files: Sequence[ImageFile], settings: DataSettings, notes: list[str]
) -> Sequence[LabeledFile]:
    named = [*settings.classes, *(it for names in settings.merge.values() for it in names)]
    classes = named if settings.classes else ()
    layout = read_layout(root, files, classes, settings.label_from)
    notes += layout.notes
    if not classes and not settings.label_from:
        check_label_tables(root, files, layout.images)
    return layout.images


def _find_images(
    root: Path,
    labeled: Sequence[LabeledFile],
    settings: DataSettings,
    notes: list[str],
    progress: Progress | None,
) -> list[FolderImage]:
    """Return the images in files: the used frames of DICOM, slices, pages, and one of others."""
    are_dicom = [it for it in labeled if it.file.is_dicom]
    others = [it for it in labeled if not it.file.is_dicom]
    found = []
    if are_dicom:
        from search.data.dicom.series import read_series

        series = read_series(
            [f"{root}/{it.file.name}" for it in are_dicom],
            [it.file.name for it in are_dicom],
            [it.class_name for it in are_dicom],
            settings,
            progress,
        )
        notes += series.notes
        for it in series.frames:
            number = it.number if it.n_frames > 1 else None
            image = _named(are_dicom[it.position], number, it.group)
            found.append(image._replace(facts=it.facts))
    else:
        for key in ("where", "group_tag"):
            if getattr(settings, key) not in ((), "auto"):
                raise no_meaning(settings, key, "which has no DICOM files")
    names = [it.file.name for it in others]
    paths = [f"{root}/{name}" for name in names]
    for position, frame, group in find_images_in_files(paths, names, settings, notes, progress):
        found.append(_named(others[position], frame, group))
    return found


def _label_by_masks(
    root: Path,
    files: Sequence[ImageFile],
    settings: DataSettings,
    notes: list[str],
    progress: Progress | None,
) -> list[FolderImage]:
    from search.data.volumes.masks import label_slices

    found = label_slices(str(root), files, settings, notes, progress)
    return [
        _named(LabeledFile(it.file, it.split, it.class_name), it.slice, it.group) for it in found
    ]


def _named(labeled: LabeledFile, frame: Frame, group: str) -> FolderImage:
    return FolderImage(labeled, frame_name(labeled.file.name, frame), frame, group)


def _describe_left_out(listing: FileListing) -> Iterator[str]:
    if (n := listing.n_excluded) > 0:
        what = "file or folder was" if n == 1 else "files and folders were"
        yield f"{n:,} {what} left out by --exclude"
    if links := listing.broken_links:
        lead = "link leads" if len(links) == 1 else "links lead"
        yield f"{len(links):,} {lead} nowhere: {first_of(sorted(links))}"
    if listing.empty_folders:
        n_empty = plural(len(listing.empty_folders), "folder")
        yield f"{n_empty} without files: {first_of(sorted(listing.empty_folders))}"

"""Images from a folder, whose subfolders name their classes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from search.data.groups import find_groups
from search.data.image_files import FileOnDisk, ImageFiles
from search.data.layout import LabeledFile, read_layout
from search.data.listing import FileListing, list_files
from search.data.settings import DataSettings, no_meaning
from search.data.source_api import Item, Progress


class FolderSource:
    """Image files below a folder, which are listed first and decoded later."""

    kind = "folder"
    guessed: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self, root: Path, settings: DataSettings, progress: Progress | None = None
    ) -> None:
        """List the images; raise `DataError` if their folders are not those of classes."""
        listing = list_files(root, settings.exclude)
        named = [*settings.classes, *(it for names in settings.merge.values() for it in names)]
        layout = read_layout(
            root, listing.files, named if settings.classes else (), settings.label_from
        )
        self.warnings = [*layout.notes, *_describe_left_out(listing)]
        images = _find_images(root, layout.images, settings, self.warnings, progress)
        self.classes = tuple(sorted({image.labeled.class_name for image in images}))
        labels = {name: label for label, name in enumerate(self.classes)}
        pattern = settings.group_from
        if pattern:
            groups = find_groups([image.labeled.file.name for image in images], pattern)
            images = [it._replace(group=g) for it, g in zip(images, groups, strict=True)]
        self.items: Sequence[Item] = [
            Item(it.name, labels[it.labeled.class_name], it.labeled.split, it.group)
            for it in images
        ]
        self._files = ImageFiles(
            root,
            [
                FileOnDisk(file.name, file.size, file.modified_ns, frame)
                for (file, _, _), _, frame, _ in images
            ],
        )
        self.identity = self._files.identity
        self.n_bytes = self._files.n_bytes
        self.read = self._files.read


class FolderImage(NamedTuple):
    """An image: its labeled file, name, frame, None if it is the only one, and group."""

    labeled: LabeledFile
    name: str
    frame: int | None = None
    group: str = ""


def _find_images(
    root: Path,
    labeled: Sequence[LabeledFile],
    settings: DataSettings,
    notes: list[str],
    progress: Progress | None,
) -> list[FolderImage]:
    """Return the images in files: one of each, but the frames that are used of DICOM files."""
    are_dicom = [it for it in labeled if it.file.is_dicom]
    if not are_dicom:
        for key in ("where", "group_tag"):
            if getattr(settings, key) not in ((), "auto"):
                raise no_meaning(settings, key, "which has no DICOM files")
        return [FolderImage(it, it.file.name) for it in labeled]
    from search.data.dicom.series import read_series

    series = read_series(
        [f"{root}/{it.file.name}" for it in are_dicom],
        [it.file.name for it in are_dicom],
        [it.class_name for it in are_dicom],
        settings,
        progress,
    )
    notes += series.notes
    found = [FolderImage(it, it.file.name) for it in labeled if not it.file.is_dicom]
    for position, number, n_frames, group in series.frames:
        file = are_dicom[position]
        name = f"{file.file.name}#{number + 1}" if n_frames > 1 else file.file.name
        found.append(FolderImage(file, name, number, group))
    return sorted(found, key=lambda it: (it.labeled.file.parts, it.frame or 0))


def _describe_left_out(listing: FileListing) -> Iterator[str]:
    if (n := listing.n_excluded) > 0:
        what = "file or folder was" if n == 1 else "files and folders were"
        yield f"{n:,} {what} left out by --exclude"
    if (n := listing.n_broken_links) > 0:
        yield "1 link leads nowhere" if n == 1 else f"{n:,} links lead nowhere"

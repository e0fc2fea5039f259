"""Images from a folder, whose subfolders name their classes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from search.data.groups import find_groups
from search.data.image_files import FileOnDisk, ImageFiles
from search.data.layout import read_layout
from search.data.listing import FileListing, list_files
from search.data.settings import DataSettings
from search.data.source_api import Item


class FolderSource:
    """Image files below a folder, which are listed first and decoded later."""

    kind = "folder"

    def __init__(self, root: Path, settings: DataSettings) -> None:
        """List the images; raise `DataError` if their folders are not those of classes."""
        listing = list_files(root, settings.exclude)
        named = [*settings.classes, *(it for names in settings.merge.values() for it in names)]
        layout = read_layout(root, listing.files, named if settings.classes else ())
        self.warnings = [*layout.notes, *_describe_left_out(listing)]
        self.classes = tuple(sorted({image.class_name for image in layout.images}))
        labels = {name: label for label, name in enumerate(self.classes)}
        files = [image.file for image in layout.images]
        names = [file.name for file in files]
        pattern = settings.group_from
        groups = find_groups(names, pattern) if pattern else [""] * len(names)
        self.items: Sequence[Item] = [
            Item(name, labels[image.class_name], image.split, group)
            for name, image, group in zip(names, layout.images, groups, strict=True)
        ]
        self._files = ImageFiles(
            root, [FileOnDisk(it.name, it.size, it.modified_ns) for it in files]
        )
        self.identity = self._files.identity
        self.n_bytes = self._files.n_bytes
        self.read = self._files.read


def _describe_left_out(listing: FileListing) -> Iterator[str]:
    if (n := listing.n_excluded) > 0:
        what = "file or folder was" if n == 1 else "files and folders were"
        yield f"{n:,} {what} left out by --exclude"
    if (n := listing.n_broken_links) > 0:
        yield "1 link leads nowhere" if n == 1 else f"{n:,} links lead nowhere"

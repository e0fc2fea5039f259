"""Images from a folder, whose subfolders name their classes."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from search.data.decode import DECODE_ERRORS, decode, describe_decode_error
from search.data.groups import find_groups
from search.data.layout import read_layout
from search.data.listing import FileListing, list_files
from search.data.settings import DataSettings
from search.data.source_api import Decoded, Item, UnreadableImage
from search.errors import DataError


class FolderSource:
    """Image files below a folder, which are listed first and decoded later."""

    kind = "folder"

    def __init__(self, root: Path, settings: DataSettings) -> None:
        """List the images; raise `DataError` if their folders are not those of classes."""
        listing = list_files(root, settings.exclude)
        layout = read_layout(root, listing.files, settings.classes)
        self.warnings = [*layout.notes, *_describe_left_out(listing)]
        self.classes = tuple(sorted({image.class_name for image in layout.images}))
        labels = {name: label for label, name in enumerate(self.classes)}
        self._files = [image.file for image in layout.images]
        names = [file.name for file in self._files]
        pattern = settings.group_from
        groups = find_groups(names, pattern) if pattern else [""] * len(names)
        self.items: Sequence[Item] = [
            Item(name, labels[image.class_name], image.split, group)
            for name, image, group in zip(names, layout.images, groups, strict=True)
        ]
        self._root = str(root)

    def identity(self) -> str:
        """Return a hash of the paths, sizes and modification times of the files."""
        listing = [(file.parts, file.size, file.modified_ns) for file in self._files]
        return hashlib.sha256(repr(listing).encode()).hexdigest()

    def n_bytes(self, index: int) -> int:
        """Return the size of a file."""
        return self._files[index].size

    def read(self, index: int) -> Decoded | UnreadableImage:
        """Decode a file; raise `DataError` if it is too large to be decoded safely."""
        try:
            return decode(f"{self._root}/{self._files[index].name}")
        except DataError:
            raise
        except DECODE_ERRORS as error:
            return UnreadableImage(describe_decode_error(error))


def _describe_left_out(listing: FileListing) -> Iterator[str]:
    if listing.n_excluded:
        yield f"{listing.n_excluded:,} files and folders were left out by --exclude"
    if listing.n_broken_links:
        yield f"{listing.n_broken_links:,} links lead nowhere"

"""Some of a source's classes, as if it had no others."""

from collections.abc import Sequence

from search.data.source_api import Decoded, Item, Source, UnreadableImage
from search.errors import DataError
from spaces.wording import did_you_mean, shorten


class ChosenClasses:
    """A source with the images of some classes of another one."""

    def __init__(self, source: Source, names: Sequence[str]) -> None:
        """Choose classes by name; raise `DataError` if the source lacks one."""
        for name in names:
            if name not in source.classes:
                near = did_you_mean(name, source.classes, cutoff=0.5)
                known = f"Known: {shorten(', '.join(source.classes))}."
                hint = f"{near[0].upper()}{near[1:]}" if near else known
                raise DataError(f"There is no class {name!r} for --classes. {hint}")
        self._source = source
        self.kind = source.kind
        self.warnings = source.warnings
        self.classes = tuple(name for name in source.classes if name in names)
        self._indices = [
            i for i, item in enumerate(source.items) if source.classes[item.label] in names
        ]
        labels = {source.classes.index(name): label for label, name in enumerate(self.classes)}
        self.items: Sequence[Item] = [
            item._replace(label=labels[item.label])
            for item in (source.items[i] for i in self._indices)
        ]

    def identity(self) -> str:
        """Return that of the whole source; the settings have the choice."""
        return self._source.identity()

    def n_bytes(self, index: int) -> int:
        """Return the size of an image."""
        return self._source.n_bytes(self._indices[index])

    def read(self, index: int) -> Decoded | UnreadableImage:
        """Read an image."""
        return self._source.read(self._indices[index])

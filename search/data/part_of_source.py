"""A part of a source, or all of it with other labels or splits than it has by itself."""

from collections.abc import Mapping, Sequence

from search.data.source_api import Decoded, Item, Source, UnreadableImage


class PartOfSource:
    """Some images of a source under new items."""

    def __init__(
        self,
        source: Source,
        items: Mapping[int, Item],
        *,
        classes: Sequence[str] | None = None,
        notes: Sequence[str] = (),
        facts: str = "",
    ) -> None:
        """Choose images; `items` are the new ones by positions in the source's.

        `facts` stands for what made the items and is not in the settings.
        """
        self._source = source
        self._indices = list(items)
        self._facts = facts
        self.kind = source.kind
        self.classes = source.classes if classes is None else tuple(classes)
        self.items: Sequence[Item] = list(items.values())
        self.warnings = [*source.warnings, *notes]
        self.guessed = source.guessed

    def identity(self) -> str:
        """Return that of the whole source, and the facts; the settings have the rest."""
        return f"{self._source.identity()} {self._facts}".rstrip()

    def n_bytes(self, index: int) -> int:
        """Return the size of an image."""
        return self._source.n_bytes(self._indices[index])

    def read(self, index: int) -> Decoded | UnreadableImage:
        """Read an image."""
        return self._source.read(self._indices[index])

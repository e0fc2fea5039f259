"""Some of a source's classes, as if it had no others, and several of them as one."""

from collections.abc import Mapping, Sequence

from search.data.settings import DataSettings
from search.data.source_api import Decoded, Item, Source, UnreadableImage
from search.errors import DataError
from spaces.wording import did_you_mean, shorten


def choose_classes(source: Source, settings: DataSettings) -> Source:
    """Return a source with the classes that the settings choose and merge.

    Raises:
        DataError: If the source lacks one of them.
    """
    if not settings.classes and not settings.merge:
        return source
    merged = {old: new for new, names in settings.merge.items() for old in names}
    for option, names in (("--merge", list(merged)), ("--classes", settings.classes)):
        known = source.classes if option == "--merge" else (*source.classes, *settings.merge)
        for name in names:
            _check_known(name, known, option)
    chosen = set(settings.classes or (*source.classes, *settings.merge))
    renamed = {name: merged.get(name, name) for name in source.classes}
    return ChosenClasses(source, {old: new for old, new in renamed.items() if {old, new} & chosen})


class ChosenClasses:
    """A source with the images of some classes of another one, under new names."""

    def __init__(self, source: Source, names: Mapping[str, str]) -> None:
        """Choose classes; `names` are their new names by the old ones."""
        self._source = source
        self.kind = source.kind
        self.warnings = source.warnings
        self.classes = tuple(
            dict.fromkeys(names[name] for name in source.classes if name in names)
        )
        labels = {
            label: self.classes.index(names[old])
            for label, old in enumerate(source.classes)
            if old in names
        }
        self._indices = [i for i, item in enumerate(source.items) if item.label in labels]
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


def _check_known(name: str, known: Sequence[str], option: str) -> None:
    if name not in known:
        near = did_you_mean(name, known, cutoff=0.5)
        hint = f"{near[0].upper()}{near[1:]}" if near else f"Known: {shorten(', '.join(known))}."
        raise DataError(f"There is no class {name!r} for {option}. {hint}")

"""Some of a source's classes, as if it had no others, and several of them as one."""

from collections.abc import Mapping, Sequence

from search.data.part_of_source import PartOfSource
from search.data.settings import DataSettings
from search.data.source_api import Source
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
    return _under_names(source, {o: new for o, new in renamed.items() if {o, new} & chosen})


def _under_names(source: Source, names: Mapping[str, str]) -> Source:
    """Return the images of the classes that have a new name; several may have the same one."""
    classes = list(dict.fromkeys(names[name] for name in source.classes if name in names))
    labels = {
        label: classes.index(names[old])
        for label, old in enumerate(source.classes)
        if old in names
    }
    items = {
        i: item._replace(label=labels[item.label])
        for i, item in enumerate(source.items)
        if item.label in labels
    }
    return PartOfSource(source, items, classes=classes)


def _check_known(name: str, known: Sequence[str], option: str) -> None:
    if name not in known:
        near = did_you_mean(name, known, cutoff=0.5)
        hint = f"{near[0].upper()}{near[1:]}" if near else f"Known: {shorten(', '.join(known))}."
        raise DataError(f"There is no class {name!r} for {option}. {hint}")

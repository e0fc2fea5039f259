"""Splits that the settings change: a source's own ones left out, or lists of names instead."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from search.data.file_names import extension_of
from search.data.identifiers import is_uid
from search.data.part_of_source import PartOfSource
from search.data.path_ends import PathEnds
from search.data.settings import DataSettings, no_meaning
from search.data.source_api import SPLITS, Item, Source
from search.errors import DataError
from spaces.wording import plural, shorten

MAX_BYTES = 256 * 2**20
"""Of a list: five million paths of 50 characters."""
MAX_LINE = 4_096
"""Characters of a path on Linux."""


def choose_splits(source: Source, settings: DataSettings) -> Source:
    """Return a source with the splits that the settings ask for.

    Raises:
        DataError: If it has no splits to ignore, or the lists do not fit its images.
    """
    if settings.own_splits == "ignore":
        source = _without_splits(source, settings)
    if settings.split_list:
        source = _with_listed_splits(source, settings)
    return source


def _without_splits(source: Source, settings: DataSettings) -> Source:
    counts = Counter(item.split for item in source.items if item.split)
    if not counts:
        raise no_meaning(settings, "own_splits", "which has no splits of its own")
    shown = ", ".join(f"{split} {counts[split]:,}" for split in SPLITS if counts[split])
    items = {i: item._replace(split="") for i, item in enumerate(source.items)}
    return PartOfSource(source, items, notes=[f"the source's own splits are ignored: {shown}"])


def _with_listed_splits(source: Source, settings: DataSettings) -> Source:
    own = {item.split for item in source.items if item.split}
    if own:
        raise DataError(
            f"{settings.source} has splits of its own beside those of --split-list:"
            f" {', '.join(sorted(own))}. Use one of both: --own-splits ignore leaves its own out."
        )
    lists = {split: _read_list(path) for split, path in settings.split_list.items()}
    finder = _ImageFinder(source.items)
    splits: dict[int, str] = {}
    notes = []
    for split, names in lists.items():
        path = settings.split_list[split]
        notes.append(_assign(splits, split, path, names, finder))
    rest = "" if "train" in lists else "train"
    items = {
        i: item._replace(split=splits.get(i, rest))
        for i, item in enumerate(source.items)
        if i in splits or rest
    }
    if n := len(source.items) - len(items):
        are = "is" if n == 1 else "are"
        notes.append(f"{plural(n, 'image')} of no list {are} left out (--split-list)")
    digest = hashlib.sha256(repr(lists).encode(errors="surrogatepass")).hexdigest()
    return PartOfSource(source, items, notes=notes, facts=digest)


def _assign(
    splits: dict[int, str], split: str, path: str, names: Sequence[str], finder: "_ImageFinder"
) -> str:
    """Set the split of the images of a list; return a note on it."""
    n_before, unknown = len(splits), []
    for name in names:
        images = finder.find(name, path)
        if not images:
            unknown.append(name)
        for i in images:
            if splits.setdefault(i, split) != split:
                raise DataError(
                    f"Expected each image in one list only (--split-list). Received:"
                    f" {shorten(name, 80)!r} for {splits[i]} and for {split}."
                )
    if len(unknown) == len(names):
        shown = (
            "" if not unknown or is_uid(unknown[0]) else f", such as {shorten(unknown[0], 80)!r}"
        )
        raise DataError(
            f"None of the {len(names):,} lines of {path} (--split-list) names an image of the"
            f" source{shown}."
        )
    others = f", which also names {len(unknown):,} that are not used" if unknown else ""
    return f"{plural(len(splits) - n_before, 'image')} for {split} by {path}{others}"


def _read_list(path: str) -> list[str]:
    """Return the different lines of a text file that are not empty."""
    file = Path(os.path.expanduser(path))  # noqa: PTH111
    try:
        if file.stat().st_size > MAX_BYTES:
            raise DataError(
                f"Expected a list of at most {MAX_BYTES // 2**20} MiB (--split-list). Received:"
                f" {path}."
            )
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"Cannot read {path} (--split-list): {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} (--split-list) is not UTF-8 text. Expected a name of an image in each line."
        ) from error
    lines = list(dict.fromkeys(filter(None, map(str.strip, text.splitlines()))))
    if max(map(len, lines), default=0) > MAX_LINE:
        raise DataError(
            f"Expected lines of at most {MAX_LINE:,} characters in {path} (--split-list), with a"
            " name of an image in each."
        )
    return lines


class _ImageFinder:
    """Finds the images that a line of a list means; several if they are frames of one file."""

    def __init__(self, items: Sequence[Item]) -> None:
        files: dict[str, list[int]] = {}
        for i, item in enumerate(items):
            files.setdefault(item.file, []).append(i)
        in_files = {it.name: [i] for i, it in enumerate(items) if it.name != it.file}
        self._names = [*files, *in_files]
        self._images = [*files.values(), *in_files.values()]
        self._by_name = PathEnds(_parts(name) for name in self._names)
        self._by_stem = PathEnds(
            _parts(name[: len(name) - len(extension_of(name))]) for name in files
        )

    def find(self, line: str, path: str) -> list[int]:
        """Return the positions of the images of the file that ends like a line.

        Raises:
            DataError: If there are several such files.
        """
        parts = _parts(line.replace("\\", "/"))
        found = (self._by_name.find(parts) or self._by_stem.find(parts)) if parts else []
        if len(found) > 1:
            shown = ", ".join(self._names[it] for it in found[:2])
            raise DataError(
                f"{shorten(line, 80)!r} of {path} (--split-list) fits {len(found):,} images, such"
                f" as {shown}. Write more of the path."
            )
        return self._images[found[0]] if found else []


def _parts(path: str) -> tuple[str, ...]:
    return tuple(it for it in path.split("/") if it not in {"", "."})

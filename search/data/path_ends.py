"""Finding paths by their last parts, as tables and lists name files from other folders."""

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

Parts = tuple[str, ...]
"""The folders and the name of a file."""


class PathEnds:
    """Paths that are found by how they end, in about the same time however many there are."""

    def __init__(self, paths: Iterable[Parts]) -> None:
        self._paths = list(paths)
        self._longest = max(map(len, self._paths), default=0)
        self._by_end: dict[int, dict[Parts, list[int]]] = {}

    def find(self, parts: Parts) -> list[int]:
        """Return the positions of the paths that end like `parts`, else of those it ends like."""
        if len(parts) <= self._longest and (found := self._ending(len(parts)).get(parts)):
            return found
        lengths = range(1, min(len(parts), self._longest + 1))
        return [i for n in lengths for i in self._whole.get(parts[-n:], ())]

    def _ending(self, n_parts: int) -> dict[Parts, list[int]]:
        """Return the positions of the paths that have as many parts or more, by these parts."""
        if n_parts not in self._by_end:
            found: dict[Parts, list[int]] = defaultdict(list)
            for position, path in enumerate(self._paths):
                if len(path) >= n_parts:
                    found[path[-n_parts:]].append(position)
            self._by_end[n_parts] = dict(found)
        return self._by_end[n_parts]

    @cached_property
    def _whole(self) -> dict[Parts, list[int]]:
        found: dict[Parts, list[int]] = defaultdict(list)
        for position, path in enumerate(self._paths):
            found[path].append(position)
        return dict(found)

"""A dictionary of bounded size."""

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class LruDict(dict[K, V]):
    """A dict of at most `max_items`: setting an item removes the one that was set longest ago.

    An item that was read must be set again to count as used. There is no lock.
    """

    def __init__(self, max_items: int) -> None:
        super().__init__()
        self._max_items = max_items

    def __setitem__(self, key: K, value: V) -> None:
        self.pop(key, None)
        super().__setitem__(key, value)
        if len(self) > self._max_items:
            self.remove_oldest()

    def remove_oldest(self) -> None:
        """Remove the item that was set longest ago."""
        del self[next(iter(self))]

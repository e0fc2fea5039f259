"""Packages that libraries import where they are installed, hidden where they only cost time."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


@contextmanager
def hide_packages(names: Iterable[str]) -> Iterator[None]:
    """Let imports of packages fail as if they were not installed, unless they are loaded."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]

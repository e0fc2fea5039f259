"""Markdown that shows text of others as it is: whatever it holds, nothing in it acts."""

import re
from collections.abc import Iterable, Sequence
from shlex import quote

from analysis.formatting import printable

MAX_TEXT = 400
"""Characters of one text of others; exceptions can be pages long."""
_ACTING = re.compile(r"[\\`*_\[\]#|~$!]")
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LONGEST_RUN = re.compile(r"`+")


def escape(text: object, limit: int = MAX_TEXT) -> str:
    """Return text in one line that Markdown shows literally, cut off where it is very long."""
    plain = _one_line(str(text))
    if len(plain) > limit:
        plain = plain[: limit - 1] + "…"
    plain = re.sub(r"[&<>]", lambda it: _NAMED[it[0]], plain)
    return _ACTING.sub(lambda it: "\\" + it[0], plain)


def code(text: str) -> str:
    """Return text as code, fenced by more backticks than it has in a row."""
    plain = _one_line(text)
    fence = "`" * (1 + max((len(it) for it in _LONGEST_RUN.findall(plain)), default=0))
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def command(words: str, name: str) -> str:
    """Return a command on something that has a name, as a shell takes it."""
    return code(f"convsearch {words} {quote(name)}")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose cells are Markdown; all columns but the first stand to the right."""
    marks = ["---", *["--:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, marks, *rows))


def bullets(lines: Iterable[str]) -> str:
    """Return a list of Markdown lines."""
    return "\n".join(f"- {line}" for line in lines)


def paragraphs(parts: Iterable[str]) -> str:
    """Return blocks of Markdown one below the other, without those that are empty."""
    return "\n\n".join(part for part in parts if part)


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))

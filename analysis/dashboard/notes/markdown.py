"""Markdown that shows foreign text literally: no markup in it takes effect."""

import re
from collections.abc import Iterable, Sequence
from shlex import quote

from analysis.formatting import printable

MAX_TEXT = 400
"""Maximum length of a foreign text; exceptions can be pages long."""
_ACTING = re.compile(r"[\\`*_\[\]#|~$!]")
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LONGEST_RUN = re.compile(r"`+")


def escape(text: object, limit: int = MAX_TEXT) -> str:
    """Return text as one line that Markdown shows literally, truncated to `limit`."""
    plain = _one_line(str(text))
    if len(plain) > limit:
        plain = plain[: limit - 1] + "…"
    plain = re.sub(r"[&<>]", lambda it: _NAMED[it[0]], plain)
    return _ACTING.sub(lambda it: "\\" + it[0], plain)


def code(text: str) -> str:
    """Return text as code, fenced by enough backticks."""
    plain = _one_line(text)
    fence = "`" * (1 + max((len(it) for it in _LONGEST_RUN.findall(plain)), default=0))
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def command(words: str, name: str, options: str = "") -> str:
    """Return a command with a name as its argument, quoted for a shell, and options behind it."""
    return code(f"convsearch {words} {quote(name)} {options}".rstrip())


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown cells; all columns but the first are right-aligned."""
    marks = ["---", *["--:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, marks, *rows))


def bullets(lines: Iterable[str]) -> str:
    """Return a list of Markdown lines."""
    return "\n".join(f"- {line}" for line in lines)


def paragraphs(parts: Iterable[str]) -> str:
    """Join blocks of Markdown, leaving out empty ones."""
    return "\n\n".join(part for part in parts if part)


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))

"""What the names of classes must be, and what they must not look like."""

import re
from collections.abc import Collection
from shlex import quote

from search.data.file_names import differing_in_case, join_names
from search.errors import DataError

MANY_CLASSES = 10
_PART = re.compile(r"(.*?)(?:images?|imgs?|part|archive|batch|chunk|disk|vol|volume)[\s_-]*\d+")
_PATIENT = re.compile(
    r"(?:patient|pat|subject|subj|sub|case|person|id|p|s)[\s_-]*\d+|\d{4,}", re.IGNORECASE
)


def check_spelling(names: Collection[str]) -> None:
    """Raise an error if names cannot be written to a file."""
    for name in sorted(names):
        try:
            name.encode()
        except UnicodeEncodeError:
            shown = name.encode(errors="surrogateescape").decode(errors="backslashreplace")
            raise DataError(
                f"The name of the folder {shown} is not UTF-8. Rename it: it is the name of a"
                " class."
            ) from None


def check_capitals(names: Collection[str]) -> None:
    """Raise an error if names differ in capital letters only."""
    twins = differing_in_case(names)
    if twins:
        same = [name for name in twins if name.casefold() == twins[0].casefold()]
        merge = quote(f"{twins[0].casefold()}={','.join(same)}")
        raise DataError(
            f"The classes {join_names(twins)} differ in capital letters only. If they are one"
            f" class, merge them: --merge {merge}. If not, name all classes with --classes."
        )


def check_meaning(names: Collection[str], hint: str) -> None:
    """Raise an error if names are those of parts of an archive or of patients.

    `hint` says where the labels may be.
    """
    parts = {name: _PART.fullmatch(name.lower()) for name in names}
    prefixes = {found[1] for found in parts.values() if found}
    if len(names) > 1 and all(parts.values()) and len(prefixes) == 1:
        raise DataError(
            f"The folders {join_names(names)} look like parts of an archive, not like classes"
            f"{hint}."
        )
    if len(names) > MANY_CLASSES and all(_PATIENT.fullmatch(name) for name in names):
        raise DataError(
            f"The {len(names)} folders {join_names(names)} look like patients, not like classes"
            f"{hint}. If they are classes, name them with --classes."
        )

"""What identifies a patient, or something of a patient: tags, columns, and UIDs."""

import re

_TAG = re.compile(
    r"Patient(?!Position|Orientation|Sex|Age)|UID$|ID$|Accession|Birth|Physician|Operators"
)
_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W_]+")
_PEOPLE = r"(?:patient|pat|subject|subj|participant|person|individual|donor|case)s?"
_NUMBERS = r"(?:id|ids|uid|name|no|nr|num|number|code|key)"
_COLUMN = re.compile(
    rf"{_PEOPLE}|{_PEOPLE} ?{_NUMBERS}|(?:.* )?(?:uid|\w+instanceuid|mrn|dob|accession|birth\w*)"
    r"(?: .*)?|(?:.* )?(?:physician|operator)s?(?: .*)?|(?:sur|first|last|full|given)? ?name"
    r"|initials|ssn|social security.*|(?:.* )?insurance(?: .*)?"
    rf"|(?:study|exam|visit|scan) ?{_NUMBERS}"
)


_UID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*)){3,}")
MAX_UID = 64


def is_uid(name: str) -> bool:
    """Whether a name is written as a DICOM UID, which identifies a patient's images."""
    return len(name) <= MAX_UID and _UID.fullmatch(name) is not None


def is_identifying_tag(keyword: str) -> bool:
    """Whether the values of a DICOM tag identify somebody, or something of somebody."""
    return _TAG.search(keyword) is not None


def is_identifying_column(name: str) -> bool:
    """Whether the values of a column of a table identify somebody, by its name."""
    return _COLUMN.fullmatch(_WORD_START.sub(" ", name).lower().strip()) is not None

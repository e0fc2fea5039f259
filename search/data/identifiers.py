"""Names of tags and columns whose values identify a patient, or something of a patient."""

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


def is_identifying_tag(keyword: str) -> bool:
    """Whether the values of a DICOM tag identify somebody, or something of somebody."""
    return _TAG.search(keyword) is not None


def is_identifying_column(name: str) -> bool:
    """Whether the values of a column of a table identify somebody, by its name."""
    return _COLUMN.fullmatch(_WORD_START.sub(" ", name).lower().strip()) is not None

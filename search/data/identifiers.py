"""Names of tags and columns whose values identify a patient, or something of a patient."""

import re

_TAG = re.compile(
    r"Patient(?!Position|Orientation|Sex|Age)|UID$|ID$|Accession|Birth|Physician|Operators"
)
_COLUMN = re.compile(
    r"(patient|subject|participant)(?!sposition|position|orientation|s?sex|s?age|s?gender)"
    r"|uid$|accession|birth|physician|operator|^mrn|(sur|first|last|full)name"
)


def is_identifying_tag(keyword: str) -> bool:
    """Whether the values of a DICOM tag identify somebody, or something of somebody."""
    return _TAG.search(keyword) is not None


def is_identifying_column(name: str) -> bool:
    """Whether the values of a column of a table identify somebody, by its name."""
    return _COLUMN.search(re.sub(r"[\W_]+", "", name.lower())) is not None

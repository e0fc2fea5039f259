"""The images in DICOM files: the frames that are used, and the groups to which they belong.

Files of one patient, study or series are of one group, as far as these identifiers tell patients
apart. Groups are numbered in the order of the files, so no identifier is in any name.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from search.data.decode import decoder_warnings
from search.data.dicom.header import GROUP_TAGS, Header, NoImage, check_keywords, read_header
from search.data.group_quality import describe_unlikely_groups, why_no_groups
from search.data.grouped_split import join_groups
from search.data.identifiers import is_identifying_tag
from search.data.parallel_map import map_each
from search.data.settings import DataSettings
from search.data.source_api import Facts, Progress, UnreadableImage
from search.errors import DataError
from spaces.wording import first_of, join_words, plural

_OTHER_GROUPS = (
    "identifiers were perhaps replaced: --group-tag names another tag, --group-from finds patients"
    " in names"
)
GROUP_WORDS = {"PatientID": "patient", "StudyInstanceUID": "study", "SeriesInstanceUID": "series"}


class Frame(NamedTuple):
    """An image of a file.

    Attributes:
        position: That of its file.
        number, n_frames: Its frame, from 0, and how many the file has.
        group: Its group, empty for none.
        facts: How it was taken.
    """

    position: int
    number: int
    n_frames: int
    group: str = ""
    facts: Facts = ()


class Listed(NamedTuple):
    """A file that a table lists: its group, empty for none, and how it was taken."""

    group: str
    facts: Facts


@dataclass(slots=True)
class Series:
    """The images in DICOM files, and notes on what was left out and how they are grouped."""

    frames: list[Frame] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_series(
    paths: Sequence[str],
    names: Sequence[str],
    labels: Sequence[str],
    settings: DataSettings,
    progress: Progress | None = None,
) -> Series:
    """Read the headers of files, in parallel, and return the images that are used.

    A file without a header that can be read stays an image, so that it is counted as broken.

    Raises:
        DataError: If nothing fits `where`, a tag is unknown, or the group tag finds no groups.
    """
    conditions = [_parse_condition(text) for text in settings.where]
    check_keywords(keyword for keyword, _ in conditions)
    headers = _read_headers(paths, [keyword for keyword, _ in conditions], progress)
    series = Series()
    used: dict[int, Header | UnreadableImage] = {}
    left_out: dict[str, list[str]] = defaultdict(list)
    for position, header in enumerate(headers):
        reason = _reason_to_leave_out(header, conditions)
        if reason or isinstance(header, NoImage):
            left_out[reason].append(names[position])
        else:
            used[position] = header
    series.notes += _describe_left_out(left_out)
    if not used:
        raise DataError(
            f"No DICOM image is left of {plural(len(paths), 'file')}: {'; '.join(series.notes)}."
        )
    groups = _find_groups(used, labels, settings, series.notes)
    facts = _facts_of(used)
    for position, header in used.items():
        n_frames = 1 if isinstance(header, UnreadableImage) else header.n_frames
        series.frames += [
            Frame(position, number, n_frames, groups.get(position, ""), facts[position])
            for number in range(n_frames)
        ]
    series.notes += _describe_kinds(used)
    return series


def read_listed(
    paths: Sequence[str],
    labels: Sequence[str],
    settings: DataSettings,
    where: Sequence[str],
    *,
    has_groups: bool,
) -> tuple[dict[int, Listed], list[str], list[str]]:
    """Return each file that a table lists and `where` chooses, by position, and notes on them.

    The last notes are on the groups. Nothing else is left out: the table says which files are
    meant. A group is empty if there are none, or if the table has them.

    Raises:
        DataError: If nothing fits `where`, or the group tag finds no groups.
    """
    conditions = [_parse_condition(text) for text in where]
    headers = enumerate(_read_headers(paths, [keyword for keyword, _ in conditions]))
    used = {i: it for i, it in headers if not _condition_not_met(it, conditions)}
    notes: list[str] = []
    if conditions:
        if len(used) < len(paths):
            n_left_out = plural(len(paths) - len(used), "DICOM file")
            notes.append(f"{n_left_out} left out by --where {', '.join(where)}")
        if not any(isinstance(it, Header) for it in used.values()):
            why = notes[0] if notes else "none can be read"
            raise DataError(f"No DICOM image is left of {plural(len(paths), 'file')}: {why}.")
    of_groups: list[str] = []
    groups = {} if has_groups else _find_groups(used, labels, settings, of_groups)
    if n := sum(isinstance(it, Header) and _is_localizer(it) for it in used.values()):
        notes.append(f"{plural(n, 'DICOM file')} with a localizer, which the table lists")
    notes += _describe_kinds(used)
    facts = _facts_of(used)
    return {i: Listed(groups.get(i, ""), facts[i]) for i in used}, notes, of_groups


def is_tag(keyword: str) -> bool:
    """Whether a name is the keyword of a DICOM tag; False if pydicom is not installed."""
    try:
        check_keywords([keyword])
    except DataError:
        return False
    return True


def _read_headers(
    paths: Sequence[str], keywords: Sequence[str] = (), progress: Progress | None = None
) -> list[Header | NoImage | UnreadableImage]:
    with decoder_warnings():
        return list(map_each(lambda path: read_header(path, keywords), paths, progress))


def _parse_condition(text: str) -> tuple[str, str]:
    keyword, equals, value = text.partition("=")
    if not (keyword and equals):
        raise DataError(f"Expected --where TAG=VALUE, such as Modality=MR. Received: {text!r}.")
    if is_identifying_tag(keyword):
        raise DataError(
            f"--where {keyword.strip()} would store an identifier of a patient with the study."
            " Choose files by another tag, or by their folders."
        )
    return keyword.strip(), value.strip()


def _reason_to_leave_out(
    header: Header | NoImage | UnreadableImage, conditions: Sequence[tuple[str, str]]
) -> str:
    if isinstance(header, UnreadableImage):
        return ""
    if isinstance(header, NoImage):
        return f"left out ({header.reason})"
    if condition := _condition_not_met(header, conditions):
        return f"left out by --where {condition}"
    asked = {keyword for keyword, _ in conditions}
    if "ImageType" not in asked and _is_localizer(header):
        return "left out (a localizer)"
    return ""


def _facts_of(used: Mapping[int, Header | NoImage | UnreadableImage]) -> dict[int, Facts]:
    """Return how each image was taken; files with the same facts share them."""
    shared: dict[Facts, Facts] = {}
    found = {i: it.facts() if isinstance(it, Header) else () for i, it in used.items()}
    return {i: shared.setdefault(facts, facts) for i, facts in found.items()}


def _condition_not_met(
    header: Header | NoImage | UnreadableImage, conditions: Sequence[tuple[str, str]]
) -> str:
    """Return the first condition that a header does not meet; empty if it meets all."""
    if isinstance(header, Header):
        for keyword, value in conditions:
            if value not in header.values[keyword] and value != header.value(keyword):
                return f"{keyword}={value}"
    return ""


def _is_localizer(header: Header) -> bool:
    return "LOCALIZER" in header.values["ImageType"]


def _describe_left_out(left_out: dict[str, list[str]]) -> Iterator[str]:
    for reason, names in left_out.items():
        yield f"{plural(len(names), 'DICOM file')} {reason}: {first_of(names)}"


def _describe_kinds(used: Mapping[int, Header | NoImage | UnreadableImage]) -> Iterator[str]:
    headers = [it for it in used.values() if isinstance(it, Header)]
    if n := sum("MOSAIC" in it.values["ImageType"] for it in headers):
        yield f"{plural(n, 'DICOM file')} with a mosaic: all slices of a volume in one image"
    if n := sum(it.value("BurnedInAnnotation").upper() == "YES" for it in headers):
        yield f"{plural(n, 'DICOM file')} with text in the image, by its own word"
    if n := sum(it.n_frames > 1 for it in headers):
        yield f"{plural(n, 'DICOM file')} with several frames: each frame is an image"


def _find_groups(
    used: Mapping[int, Header | NoImage | UnreadableImage],
    labels: Sequence[str],
    settings: DataSettings,
    notes: list[str],
) -> dict[int, str]:
    """Return the group of each file: files that share a value of some tag are of one group.

    A tag that does not tell patients apart does not count; asking for one is an error.
    """
    headers = {i: it for i, it in used.items() if isinstance(it, Header)}
    if settings.group_from or not headers:
        return {}
    asked = {"auto": GROUP_TAGS, "none": ()}.get(settings.group_tag, (settings.group_tag,))
    of_files = [labels[i] for i in headers]
    reasons = {
        tag: why_no_groups([it.value(tag) for it in headers.values()], of_files, "files")
        for tag in asked
    }
    tags = [tag for tag, reason in reasons.items() if not reason]
    said = join_words([f"{tag} {reason}" for tag, reason in reasons.items() if reason])
    if settings.group_tag in GROUP_TAGS and not tags:
        raise DataError(f"--group-tag finds no groups: {said}.")
    if not tags and settings.group_tag == "auto":
        notes.append(
            f"the images have no groups, since {said}: if several are of one patient, results are"
            " too good (--group-from finds patients in names)"
        )
    if not tags and not any(it.n_frames > 1 for it in headers.values()):
        return {}
    indices = list(headers)
    keys = [
        [i, *((tag, value) for tag in tags if (value := headers[i].value(tag)))] for i in indices
    ]
    joined = [[indices[it] for it in group] for group in join_groups(keys)]
    if tags:
        largest = plural(max(map(len, joined)), "file")
        because = f", since {said}" if said else ""
        notes.append(
            f"images are grouped by {', '.join(tags)}: {len(joined):,} groups, the largest of"
            f" {largest}{because}"
        )
        number_of = {i: str(number) for number, group in enumerate(joined) for i in group}
        notes += describe_unlikely_groups(
            [number_of[i] for i in headers], of_files, "DICOM file", _OTHER_GROUPS
        )
        n_missing = sum(not headers[i].value(tags[0]) for i in indices)
        if n_missing:
            notes.append(f"{tags[0]} is missing in {plural(n_missing, 'DICOM file')}")
    word = GROUP_WORDS[tags[0]] if tags else "file"
    return {i: f"{word} {number}" for number, group in enumerate(joined, 1) for i in group}

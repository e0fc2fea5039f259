"""The images in DICOM files: the frames that are used, and the groups to which they belong.

Groups are patients, or studies or series where the patient's identifier does not tell patients
apart. They are numbered in the order of the files, so no identifier is in any name.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from search.data.decode import decoder_warnings
from search.data.dicom.header import GROUP_TAGS, Header, NoImage, check_keywords, read_header
from search.data.parallel import map_chunks
from search.data.settings import DataSettings
from search.data.source_api import Progress, UnreadableImage
from search.errors import DataError
from spaces.wording import plural

FILES_AT_ONCE = 64
GROUP_WORDS = {"PatientID": "patient", "StudyInstanceUID": "study", "SeriesInstanceUID": "series"}
N_NAMES = 3


class Frame(NamedTuple):
    """An image: the position of its file, its frame from 0, how many there are, and its group."""

    position: int
    number: int
    n_frames: int
    group: str = ""


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
    """Read the headers of files, in parallel, and return their images.

    A file without a header that can be read stays an image, so that it is counted as broken.

    Raises:
        DataError: If nothing fits `where`, a tag is unknown, or a group tag is not in all files.
    """
    conditions = [_parse_condition(text) for text in settings.where]
    check_keywords(keyword for keyword, _ in conditions)
    keywords = [keyword for keyword, _ in conditions]
    chunks = [paths[i : i + FILES_AT_ONCE] for i in range(0, len(paths), FILES_AT_ONCE)]
    headers: list[Header | NoImage | UnreadableImage] = []
    with decoder_warnings():
        for part in map_chunks(lambda some: [read_header(it, keywords) for it in some], chunks):
            headers += part
            if progress:
                progress(len(headers), len(paths), "headers")
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
    for position, header in used.items():
        n_frames = 1 if isinstance(header, UnreadableImage) else header.n_frames
        group = groups.get(position, "")
        series.frames += [Frame(position, number, n_frames, group) for number in range(n_frames)]
    series.notes += _describe_kinds(used)
    return series


def _parse_condition(text: str) -> tuple[str, str]:
    keyword, equals, value = text.partition("=")
    if not (keyword and equals):
        raise DataError(f"Expected --where TAG=VALUE, such as Modality=MR. Received: {text!r}.")
    return keyword.strip(), value.strip()


def _reason_to_leave_out(
    header: Header | NoImage | UnreadableImage, conditions: Sequence[tuple[str, str]]
) -> str:
    if isinstance(header, UnreadableImage):
        return ""
    if isinstance(header, NoImage):
        return f"left out, {header.reason}"
    for keyword, value in conditions:
        if value not in header.values[keyword] and value != header.value(keyword):
            return f"left out by --where {keyword}={value}"
    asked = {keyword for keyword, _ in conditions}
    if "ImageType" not in asked and "LOCALIZER" in header.values["ImageType"]:
        return "left out, a localizer"
    return ""


def _describe_left_out(left_out: dict[str, list[str]]) -> Iterator[str]:
    for reason, names in left_out.items():
        yield f"{plural(len(names), 'DICOM file')} {reason}: {_shown(names)}"


def _describe_kinds(used: dict[int, Header | UnreadableImage]) -> Iterator[str]:
    headers = [it for it in used.values() if isinstance(it, Header)]
    if n := sum("MOSAIC" in it.values["ImageType"] for it in headers):
        yield f"{plural(n, 'DICOM file')} with a mosaic: all slices of a volume in one image"
    if n := sum(it.value("BurnedInAnnotation").upper() == "YES" for it in headers):
        yield f"{plural(n, 'DICOM file')} with text in the image, by its own word"
    if n := sum(it.n_frames > 1 for it in headers):
        yield f"{plural(n, 'DICOM file')} with several frames: each frame is an image"


def _find_groups(
    used: dict[int, Header | UnreadableImage],
    labels: Sequence[str],
    settings: DataSettings,
    notes: list[str],
) -> dict[int, str]:
    """Return the group of each file: by the first tag that tells several apart."""
    headers = {i: it for i, it in used.items() if isinstance(it, Header)}
    if settings.group_tag == "none" or settings.group_from or not headers:
        return {}
    asked = (settings.group_tag,) if settings.group_tag != "auto" else GROUP_TAGS
    reasons = []
    for tag in asked:
        values = {i: it.value(tag) for i, it in headers.items()}
        reason = _why_no_groups(values, labels)
        if reason:
            reasons.append(f"{tag} {reason}")
            continue
        numbers = {value: n for n, value in enumerate(dict.fromkeys(values.values()), 1)}
        sizes = Counter(values.values())
        word = GROUP_WORDS[tag]
        because = f", since {' and '.join(reasons)}" if reasons else ""
        notes.append(
            f"images are grouped by {tag}: {len(numbers):,} groups, the largest of"
            f" {plural(max(sizes.values()), 'file')}{because}"
        )
        return {i: f"{word} {numbers[value]}" for i, value in values.items()}
    if settings.group_tag != "auto":
        raise DataError(f"--group-tag {settings.group_tag} finds no groups: {reasons[0]}.")
    notes.append(
        f"the images have no groups, since {' and '.join(reasons)}: if several are of one patient,"
        " results are too good (--group-from finds patients in names)"
    )
    return {}


def _why_no_groups(values: dict[int, str], labels: Sequence[str]) -> str:
    """Return why the values of a tag do not tell patients apart; empty if they may."""
    n_missing = sum(not value for value in values.values())
    if n_missing:
        return f"is missing in {plural(n_missing, 'file')}"
    distinct = set(values.values())
    if len(distinct) == 1 and len(values) > 1:
        return "is the same in all files"
    by_class = defaultdict(set)
    for i, value in values.items():
        by_class[labels[i]].add(value)
    if len(by_class) > 1 and all(len(its) == 1 for its in by_class.values()):
        return "is one for each class"
    return ""


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:N_NAMES]) + (", ..." if len(names) > N_NAMES else "")

"""Copies of a set in itself, as archives have them that were unpacked and packed again."""

from collections import defaultdict
from collections.abc import Collection, Sequence

from search.data.listing import ImageFile
from spaces.wording import plural


def drop_copy(
    images: Sequence[ImageFile], depth: int, named: Collection[str] = ()
) -> tuple[list[ImageFile], list[str]]:
    """Leave out a top folder whose images all are beside it too; return a note if there is one.

    Top folders are those below `depth` folders around everything. A copy has several folders, of
    classes or splits, whose files have the paths and sizes of those beside it. Folders that are
    `named` as classes are none.
    """
    known = {(file.parts[depth:], file.size) for file in images}
    by_top: dict[str, list[ImageFile]] = defaultdict(list)
    for file in images:
        if len(file.parts) > depth + 1:
            by_top[file.parts[depth]].append(file)
    for top, files in by_top.items():
        inner = {file.parts[depth + 1] if len(file.parts) > depth + 2 else "" for file in files}
        is_set = len(inner) > 1 and "" not in inner and top not in {*inner, *named}
        if is_set and all((file.parts[depth + 1 :], file.size) in known for file in files):
            note = f"{top}/ repeats the folders beside it: its {plural(len(files), 'image')}"
            rest = [file for file in images if file.parts[depth] != top]
            return rest, [f"{note} were left out"]
    return list(images), []

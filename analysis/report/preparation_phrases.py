"""Phrases about how images were made and chosen, in the language of a report."""

from collections.abc import Iterator
from typing import NamedTuple

from analysis.report.preparation import Preparation
from analysis.report.texts import Texts

LARGEST_8_BIT = 255
FRACTIONS, EIGHT_BITS = (0, 1), (0, LARGEST_8_BIT)
REASONS = {"auto": "made.values.percentiles", "file": "made.values.proposed"}


class Made(NamedTuple):
    """What was done with images: what it is about, in words, and the option that chose it."""

    name: str
    text: str
    option: str = ""


def describe_preparation(found: Preparation, texts: Texts) -> list[Made]:
    """Return how images were made and chosen: values, shape and groups, then other choices."""
    say = texts.say
    made = [*_pixels(found, texts), *_groups(found, texts)]
    made += [*_classes(found, texts), *_parts_of_files(found, texts), *_choices(found, texts)]
    return [Made(say(f"made.{name}"), text, option) for name, text, option in made]


def _pixels(found: Preparation, texts: Texts) -> Iterator[Made]:
    if found.scaling != "unknown":
        option = "" if found.window == "auto" else f"--window {found.window}"
        yield Made("values", _values(found, texts), option)
    if found.resize is not None:
        yield Made("resize", texts.say(f"made.resize.{found.resize}"))
    if found.color != "auto":
        yield Made("color", texts.say(f"made.color.{found.color}"), f"--color {found.color}")


def _values(found: Preparation, texts: Texts) -> str:
    if found.pixel_range is None:
        return texts.say(f"made.values.{found.scaling}")
    low, high = found.pixel_range
    is_of_8_bit = found.pixel_range != FRACTIONS and low >= 0 and high <= LARGEST_8_BIT
    ends = {"low": _number(low, texts), "high": _number(high, texts)}
    text = texts.say(f"made.values.{'all' if is_of_8_bit else 'deep'}", **ends)
    is_plain = found.window == "auto" and found.pixel_range in (FRACTIONS, EIGHT_BITS)
    if is_plain or found.window not in REASONS:
        return text
    return f"{text}; {texts.say(REASONS[found.window])}"


def _number(value: float, texts: Texts) -> str:
    """Return a number with four digits, or all of a larger one before the point."""
    return texts.number(value, 0 if abs(value) >= 1000 else None)


def _groups(found: Preparation, texts: Texts) -> Iterator[Made]:
    if not found.n_groups:
        return
    origin = found.groups_from
    option = {"paths": "--group-from", "column": "--group-column", "source": ""}
    parts = [texts.count("made.groups.of", found.n_groups)]
    if found.n_divided_groups:
        parts.append(texts.count("made.groups.divided", found.n_divided_groups))
    else:
        parts.append(texts.say("made.groups.whole"))
    if found.n_without_group:
        parts.append(texts.count("made.groups.without", found.n_without_group))
    parts.append(texts.say(f"made.groups.{origin if origin in option else 'tag'}"))
    yield Made("groups", "; ".join(parts), option.get(origin, f"--group-tag {origin}"))


def _classes(found: Preparation, texts: Texts) -> Iterator[Made]:
    if found.chosen_classes:
        yield Made("classes", ", ".join(found.chosen_classes), "--classes")
    if found.merged_classes:
        merged = (f"{new}: {', '.join(old)}" for new, old in found.merged_classes.items())
        yield Made("merged", "; ".join(merged), "--merge")
    if found.positive:
        yield Made("positive", found.positive, "--positive")
    if found.labels_from:
        option = {"paths": "--label-from"}.get(found.labels_from, "--masks")
        yield Made("labels", texts.say(f"made.labels.{found.labels_from}"), option)


def _parts_of_files(found: Preparation, texts: Texts) -> Iterator[Made]:
    if found.slices:
        yield Made("slices", found.slices, "--slices")
    if found.volume != 1:
        yield Made("volume", str(found.volume), "--volume")
    if found.pages != "1":
        is_all = found.pages == "all"
        yield Made("pages", texts.say("made.pages.all") if is_all else found.pages, "--pages")


def _choices(found: Preparation, texts: Texts) -> Iterator[Made]:
    if found.n_conditions:
        yield Made("where", texts.count("made.where.n", found.n_conditions), "--where")
    if found.n_exclusions:
        yield Made("exclude", texts.count("made.exclude.n", found.n_exclusions), "--exclude")
    if found.max_images is not None:
        yield Made("most", texts.say("made.most.n", n=found.max_images), "--max-images")
    if found.ignores_own_splits:
        yield Made("splits", texts.say("made.splits.ignored"), "--own-splits ignore")
    if found.has_split_lists:
        yield Made("splits", texts.say("made.splits.listed"), "--split-list")
    if found.leaks:
        option = "--allow-leaks" if found.leaks == "allowed" else "--fix-leaks"
        yield Made("leaks", texts.say(f"made.leaks.{found.leaks}"), option)

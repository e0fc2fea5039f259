"""Output about the images of a source."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from analysis.formatting import printable
from search.cli.console import print_line
from spaces.wording import plural

if TYPE_CHECKING:
    from search.data import SourceSummary

N_BROKEN = 10
_FITS = {
    "pad": "black is added at two sides of images that are not square",
    "crop": "two sides of images that are not square are cut off",
    "stretch": "images are stretched to squares",
}


def show_source(console: Console, summary: "SourceSummary") -> None:
    """Show the images of a source and those that a search would use."""
    sizes = summary.sizes
    smallest = f"{sizes.min_width}×{sizes.min_height}"
    largest = f"{sizes.max_width}×{sizes.max_height}"
    n_images = sum(sum(counts.values()) for counts in summary.counts.values())
    color = "grey" if summary.used_channels == 1 else "color"
    console.print(
        f"{plural(n_images, color + ' image')} in "
        f"{plural(len(summary.classes), 'class')} ({summary.kind}), "
        + (smallest if smallest == largest else f"{smallest} to {largest}")
        + " pixels"
    )
    for line in _describe_pixels(summary):
        console.print(line)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("class")
    found, used = list(summary.counts), list(summary.used)
    for name in (*found, *(f"use {split}" for split in used)):
        table.add_column(name, justify="right")
    for class_name in summary.classes:
        cells = [summary.counts[split].get(class_name, 0) for split in found]
        cells += [summary.used[split].get(class_name, 0) for split in used]
        table.add_row(printable(class_name), *(f"{n:,}" for n in cells))
    console.print(table)
    show_warnings(console, summary.warnings)
    for name, reason in list(summary.broken.items())[:N_BROKEN]:
        print_line(console, f"Skipped: {name}: {reason}", style="yellow")
    if len(summary.broken) > N_BROKEN:
        console.print(f"and {len(summary.broken) - N_BROKEN} more (--json lists all)")


def _describe_pixels(summary: "SourceSummary") -> Iterator[str]:
    """Yield what happens to pixels that are not 8-bit and to images that are not square."""
    types = ", ".join(summary.pixel_types)
    if isinstance(summary.pixel_range, tuple):
        low, high = summary.pixel_range
        yield f"Pixels: {types}; {low:g} to {high:g} become 0 to 255"
    elif summary.pixel_range is not None:
        yield f"Pixels: {types}; each image is scaled by itself (--window image)"
    if summary.n_groups:
        yield (
            f"Groups: {summary.n_groups:,}, the largest of"
            f" {plural(summary.n_largest_group, 'image')}"
        )
    if not summary.is_square:
        yield f"Shape: {_FITS[summary.resize]} (--resize {summary.resize})"


def show_warnings(console: Console, warnings: Iterable[str]) -> None:
    """Show warnings about a source's images."""
    for warning in warnings:
        print_line(console, printable(f"Note: {warning}"), style="yellow")


def show_next_command(console: Console, command: str) -> None:
    """Show the command that searches with the guessed options, on one line to copy."""
    console.print("If the guesses are right, search with:")
    console.print(printable(command), soft_wrap=True)

"""Output about the images of a source."""

from collections.abc import Iterable
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


def show_source(console: Console, summary: "SourceSummary") -> None:
    """Show the images of a source and those that a search would use."""
    sizes = summary.sizes
    smallest = f"{sizes.min_width}×{sizes.min_height}"
    largest = f"{sizes.max_width}×{sizes.max_height}"
    n_images = sum(sum(counts.values()) for counts in summary.counts.values())
    console.print(
        f"{plural(n_images, summary.color + ' image')} in "
        f"{plural(len(summary.classes), 'class')} ({summary.kind}), "
        + (smallest if smallest == largest else f"{smallest} to {largest}")
        + " pixels"
    )
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("class")
    found, used = list(summary.counts), list(summary.used)
    for name in (*found, *(f"use {split}" for split in used)):
        table.add_column(name, justify="right")
    for class_name in summary.classes:
        cells = [summary.counts[split].get(class_name, 0) for split in found]
        cells += [summary.used[split].get(class_name, 0) for split in used]
        table.add_row(class_name, *(f"{n:,}" for n in cells))
    console.print(table)
    show_warnings(console, summary.warnings)
    for name, reason in list(summary.broken.items())[:N_BROKEN]:
        print_line(console, f"Skipped: {name}: {reason}", style="yellow")
    if len(summary.broken) > N_BROKEN:
        console.print(f"and {len(summary.broken) - N_BROKEN} more (--json lists all)")


def show_warnings(console: Console, warnings: Iterable[str]) -> None:
    """Show warnings about a source's images."""
    for warning in warnings:
        print_line(console, printable(f"Note: {warning}"), style="yellow")

"""Output of `predict`: a row per image, then the unreadable ones."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from analysis.confirmation_study import kind_of_trial
from analysis.formatting import format_accuracy, printable
from search.cli.console import print_line
from search.exported_models.prediction import Prediction, Predictions
from spaces.wording import plural

N_CLASSES = 5
WIDEST = 100_000
"""Wider than any table."""


def show_predictions(console: Console, found: Predictions) -> None:
    """Show the most probable classes of each image, and its conversion."""
    facts = found.facts
    trial = f"{kind_of_trial(facts.study)} {facts.trial} of {facts.study}"
    origin = printable(f"{facts.family} network, {trial}")
    print_line(console, f"{origin}: validation accuracy {format_accuracy(facts.val_accuracy)}")
    read = [image for image in found.images if image.error is None]
    if read:
        _print(console, _table(read))


def show_unreadable(console: Console, found: Predictions) -> None:
    """List skipped folders, and unreadable images with reasons."""
    for note in found.notes:
        print_line(console, printable(note))
    if not found.n_unreadable:
        return
    print_line(console, f"{plural(found.n_unreadable, 'image')} could not be read:")
    for image in found.images:
        if image.error is not None:
            print_line(console, printable(f"  {image.image}: {image.error}"))


def _print(console: Console, table: Table) -> None:
    """Print a table, outside a terminal at full width so that no name is wrapped."""
    if not console.is_terminal:
        table.width = console.measure(table, options=console.options.update(width=WIDEST)).maximum
    console.print(table, soft_wrap=not console.is_terminal)


def _table(images: list[Prediction]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("image", overflow="fold")
    table.add_column("class", overflow="fold")
    table.add_column("probability", justify="right", no_wrap=True)
    table.add_column("other classes", overflow="fold")
    has_notes = any(image.notes for image in images)
    if has_notes:
        table.add_column("notes", overflow="fold")
    for image in images:
        ranked = sorted(image.probabilities.items(), key=lambda it: -it[1])[:N_CLASSES]
        (name, probability), *others = ranked
        rest = ", ".join(f"{other} {share:.3f}" for other, share in others)
        row = [image.image, name, f"{probability:.3f}", rest]
        notes = ["; ".join(image.notes)] if has_notes else []
        table.add_row(*map(printable, row + notes))
    return table

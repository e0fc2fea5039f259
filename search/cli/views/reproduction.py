"""Output of `reproduce`: both curves if they differ."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from analysis.formatting import format_accuracy
from search.cli.console import print_line
from search.evaluation.reproduction import Reproduction
from spaces.wording import plural


def show_reproduction(console: Console, found: Reproduction) -> None:
    """Show whether the curves are identical, else both of them."""
    name = f"Trial {found.trial} of {found.study}"
    if found.is_identical:
        n = plural(len(found.recorded), "epoch")
        print_line(console, f"{name}: {n} trained again, identical to the last digit.")
        return
    print_line(console, f"{name}: the curve differs from epoch {found.first_difference} on.")
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("epoch", "val acc", "again", "val loss", "again"):
        table.add_column(column, justify="right", no_wrap=True)
    for row, other in zip(found.recorded, found.repeated, strict=False):
        table.add_row(
            str(row.epoch),
            format_accuracy(row.val_accuracy),
            format_accuracy(other.val_accuracy),
            f"{row.val_loss:.6f}",
            f"{other.val_loss:.6f}",
        )
    console.print(table)
    if len(found.recorded) != len(found.repeated):
        n_recorded, n_repeated = len(found.recorded), len(found.repeated)
        print_line(console, f"{n_recorded} epochs are recorded, {n_repeated} were repeated.")
    causes = "Another processor, TensorFlow or number of threads rounds differently (--threads)."
    print_line(console, causes)

"""Output of `data fetch`: the public sets, and one that was downloaded."""

from collections.abc import Iterable
from shlex import quote

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from search.cli.console import print_line
from search.data.fetch import FetchedSet
from search.data.public_sets import SIZES, PublicSet, citations, homepage
from spaces.wording import plural


def show_public_sets(console: Console, sets: Iterable[PublicSet]) -> None:
    """Show the sets that are known by name."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("name", no_wrap=True)
    table.add_column("images of", overflow="fold")
    for name in ("classes", "images"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("license", no_wrap=True)
    for it in sets:
        table.add_row(it.name, it.about, str(len(it.classes)), f"{it.n_images:,}", it.license)
    console.print(table)
    sizes = ", ".join(map(str, SIZES))
    print_line(console, f"Sizes: {sizes} pixels (--size). Published by MedMNIST, {homepage()}")
    print_line(console, "Next: convsearch data fetch NAME")


def show_fetched(console: Console, fetched: FetchedSet) -> None:
    """Show a set that is here, its license, what to cite, and the command to go on with."""
    found, size = fetched.public_set, fetched.size
    print_line(
        console,
        f"{found.name}: {found.about}; {plural(found.n_images, 'image')} of {size}×{size} pixels"
        f" in {plural(len(found.classes), 'class')}"
        f"{'' if fetched.was_downloaded else ' (already here)'}",
    )
    print_line(console, str(fetched.path))
    print_line(console, f"License: {found.license}, {found.license_url}")
    print_line(console, f"Cite: {found.source}, and")
    for citation in citations():
        print_line(console, f"  {citation}")
    print_line(console, f"License and citations are kept in {fetched.license_path.name}")
    print_line(console, f"Next: convsearch data inspect {quote(str(fetched.path))}")

"""The commands `data inspect`, `data prepare` and `data fetch`."""

from typing import TYPE_CHECKING, Annotated

import typer

from search import defaults
from search.cli import options
from search.cli.study_options import DATA_OPTIONS, StudyOptions, with_study_options

if TYPE_CHECKING:
    from search.data import DataSettings, SourceSummary
    from search.data.fetch import FetchedSet
    from search.data.public_sets import PublicSet

app = typer.Typer(
    help="Look at a source of images, prepare it, or download a public one.", no_args_is_help=True
)


@app.command()
@with_study_options(*DATA_OPTIONS)
def inspect(
    given: StudyOptions,
    html: Annotated[
        str | None,
        typer.Option(metavar="FILE.html", help="Also write a page with pictures and plots."),
    ] = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="Others may read the page, as the umask says.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Show classes, counts, sizes, duplicates, broken files, and what a search would use."""
    from search.cli.console import print_result, progress_bar, stderr_console, stdout_console
    from search.cli.next_command import search_command
    from search.cli.views.source import show_next_command, show_source
    from search.data import default_cache_dir, inspect_source
    from search.errors import SettingsError

    settings = _settings(given)
    if shared and html is None:
        raise SettingsError("--shared says who may read a page: give --html too, or leave it out.")
    if html is None:
        with progress_bar(stderr_console()) as progress:
            summary = inspect_source(settings, progress, cache_dir=default_cache_dir())
    else:
        summary = _write_page(settings, html, is_shared=shared)
    print_result(summary, show_source, as_json=json)
    guessed = {**summary.guessed, "group_from": summary.group_proposal}
    guessed = {name: value for name, value in guessed.items() if value}
    if guessed and not json:
        command = search_command(given.source, given.values, guessed)
        show_next_command(stdout_console(), command)


def _write_page(settings: "DataSettings", page: str, *, is_shared: bool) -> "SourceSummary":
    from pathlib import Path

    from search.cli.console import print_line, progress_bar, stderr_console
    from search.reports.source_page import write_source_page
    from storage.file_rights import share_new_folders

    if is_shared:
        share_new_folders()
    console = stderr_console()
    with progress_bar(console) as progress:
        summary = write_source_page(settings, Path(page), progress)
    print_line(console, f"{page} has pictures of the set: give it only to those who may see them.")
    return summary


@app.command()
@with_study_options(*DATA_OPTIONS)
def prepare(
    given: StudyOptions,
    cache: Annotated[str | None, typer.Option(help="Folder of prepared sets.")] = None,
    shared: options.Shared = False,
    json: options.Json = False,
) -> None:
    """Decode a source once, into the file that all workers map."""
    from pathlib import Path

    from search.cli.console import print_json, progress_bar, stderr_console, stdout_console
    from search.cli.views.source import show_warnings
    from search.data import default_cache_dir
    from search.data import prepare as prepare_source
    from storage.file_rights import share_new_folders

    if shared:
        share_new_folders()
    settings = _settings(given)
    folder = Path(cache) if cache else default_cache_dir()
    with progress_bar(stderr_console()) as progress:
        data = prepare_source(settings, folder, progress)
    document = {
        "path": str(data.path),
        "fingerprint": data.fingerprint,
        "classes": list(data.classes),
        "image_shape": list(data.image_shape),
        "counts": data.counts,
        "warnings": data.metadata["warnings"],
    }
    if json:
        print_json(document)
        return
    height, width, channels = data.image_shape
    counts = ", ".join(f"{n:,} {split}" for split, n in data.counts.items())
    stdout_console().print(
        f"{data.n_classes} classes, {counts}, {height}×{width}×{channels}\n{data.path}",
        soft_wrap=True,
    )
    show_warnings(stderr_console(), data.metadata["warnings"])


@app.command()
def fetch(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="Name of a public set.", show_default="all are listed"
        ),
    ] = None,
    size: Annotated[
        int, typer.Option(help="Side of its images in pixels: 28, 64, 128 or 224.")
    ] = defaults.PUBLIC_SET_SIZE,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Where it goes.", show_default="sets in the cache folder"
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Folder of a web server that has copies of the files.",
            show_default="$CONVSEARCH_SETS_URL or Zenodo",
        ),
    ] = None,
    list_sets: Annotated[bool, typer.Option("--list", help="List the public sets.")] = False,
    shared: options.Shared = False,
    json: options.Json = False,
) -> None:
    """Download a public set by its name, or list those that are known."""
    from search.cli.console import print_json, stdout_console
    from search.cli.views.public_sets import show_fetched, show_public_sets
    from search.data.public_sets import check_size, find_public_set, public_sets

    known = public_sets().values()
    if name is None or list_sets:
        if json:
            print_json({"sets": [it.to_json() for it in known]})
        else:
            show_public_sets(stdout_console(), known)
        return
    fetched = _fetch(find_public_set(name), check_size(size), to, url, is_shared=shared)
    if json:
        print_json(fetched.to_json())
    else:
        show_fetched(stdout_console(), fetched)


def _fetch(
    wanted: "PublicSet", size: int, to: str | None, url: str | None, *, is_shared: bool
) -> "FetchedSet":
    import os
    from pathlib import Path

    from search.cli.console import print_line, progress_bar, stderr_console
    from search.data.fetch import default_folder, default_mirror, fetch_set
    from storage.file_rights import share_new_folders

    if is_shared:
        share_new_folders()
    folder = Path(os.path.expanduser(to)) if to else default_folder()  # noqa: PTH111
    console = stderr_console()
    with progress_bar(console, in_bytes=True) as progress:
        return fetch_set(
            wanted,
            size,
            folder,
            mirror=url or default_mirror(),
            progress=progress,
            say=lambda text: print_line(console, text),
        )


def _settings(given: StudyOptions) -> "DataSettings":
    from search.settings.option_keys import OPTION_NAMES
    from search.settings.study_file import read_plan

    values = {place: value for place, value in given.values.items() if place[0] == "data"}
    return read_plan(given.source, values, OPTION_NAMES).data

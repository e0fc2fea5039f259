"""`convsearch data`: looking at a source, and preparing it ahead of a study."""

from typing import Annotated, Any

import typer

from search.cli import options

app = typer.Typer(help="Look at a source of images, or prepare it.", no_args_is_help=True)


@app.command()
def inspect(
    source: options.Source,
    image_size: options.ImageSize = None,
    color: options.Color = None,
    max_images: options.MaxImages = None,
    split: options.Split = None,
    seed: options.Seed = None,
    strict: options.Strict = None,
    json: options.Json = False,
) -> None:
    """Show classes, counts, sizes, duplicates, broken files, and what a search would use."""
    from search.cli.console import print_json, progress_bar, stderr_console, stdout_console
    from search.cli.views.status import show_source
    from search.data import inspect_source

    settings = _settings(source, image_size, color, max_images, split, seed, strict)
    with progress_bar(stderr_console()) as progress:
        summary = inspect_source(settings, progress)
    if json:
        print_json(summary.to_json())
    else:
        show_source(stdout_console(), summary)


@app.command()
def prepare(
    source: options.Source,
    image_size: options.ImageSize = None,
    color: options.Color = None,
    max_images: options.MaxImages = None,
    split: options.Split = None,
    seed: options.Seed = None,
    strict: options.Strict = None,
    cache: Annotated[str | None, typer.Option(help="Folder of prepared sets.")] = None,
    json: options.Json = False,
) -> None:
    """Decode a source once, into the file that all workers map."""
    from pathlib import Path

    from search.cli.console import print_json, progress_bar, stderr_console, stdout_console
    from search.data import default_cache_dir
    from search.data import prepare as prepare_source

    settings = _settings(source, image_size, color, max_images, split, seed, strict)
    folder = Path(cache) if cache else default_cache_dir()
    with progress_bar(stderr_console()) as progress:
        data = prepare_source(settings, folder, progress)
    document = {
        "path": str(data.path),
        "fingerprint": data.fingerprint,
        "classes": list(data.classes),
        "image_shape": list(data.image_shape),
        "counts": data.counts,
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


def _settings(
    source: str,
    image_size: int | None,
    color: str | None,
    max_images: int | None,
    split: str | None,
    seed: int | None,
    strict: bool | None,
) -> Any:
    from search.settings.study_file import read_plan

    values = {
        "image_size": image_size,
        "color": color,
        "max_images": max_images,
        "split": options.parse_split(split),
        "seed": seed,
        "strict": strict,
    }
    given = {("data", key): value for key, value in values.items()}
    return read_plan(source, given, options.NAMES).data

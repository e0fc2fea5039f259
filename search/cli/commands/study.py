"""`convsearch study`: the studies of a store, listed, shown, forked, exported and deleted."""

from typing import Annotated

import typer

from search.cli import options
from search.cli.store import opened

app = typer.Typer(
    help="The studies of a store: list, show, fork, export, delete.", no_args_is_help=True
)


@app.command("list")
def list_(store: options.Store = None, json: options.Json = False) -> None:
    """Lists the studies: trials done, best, workers, state, age and size."""
    from search.cli.console import answers, print_json
    from search.cli.views.studies import show_overviews
    from search.studies.listing import take_inventory

    with opened(store) as there:
        found = take_inventory(there)
    if json:
        print_json({"studies": [item.to_json() for item in found]})
    else:
        show_overviews(answers(), found)


@app.command()
def show(study: options.Study, store: options.Store = None, json: options.Json = False) -> None:
    """Shows a study's settings in words: its data, space, budget, files and versions."""
    from search.cli.console import answers, print_json
    from search.cli.views.studies import show_settings
    from search.settings.stored import StudySettings
    from storage import load_study

    with opened(store) as there:
        record = load_study(there, study)
    settings = StudySettings.read(record.settings)
    if json:
        print_json({"study": study, "settings": settings.model_dump(mode="json")})
    else:
        show_settings(answers(), record, settings)


@app.command()
def fork(
    study: options.Study,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Name of the new study.")],
    source: Annotated[
        str | None,
        typer.Argument(metavar="[FILE]", help="A study file (.toml) with all of its settings."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting that is to differ, as optimizer=adam,sgd or training.max_epochs=40.",
        ),
    ] = None,
    trials: options.Trials = None,
    count_taken: Annotated[
        bool,
        typer.Option("--count-taken", help="Trials that are taken over count for the budget."),
    ] = False,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Makes a new study with another space, data or settings, that knows what the old one found.

    Every finished trial that fits is taken over, and the budget is spent on new ones. With other
    data or rules of training the best configs are tried again first.
    """
    from search.cli.console import answers, notes, print_json, progress_bar
    from search.cli.views.studies import show_fork
    from search.errors import SettingsError
    from search.settings.overrides import plan_again
    from search.settings.plan import store_url
    from search.settings.study_file import read_plan
    from search.studies.fork import fork as fork_study
    from storage import Store, load_study

    if source is not None and changes:
        raise SettingsError("Expected a study file or --set. Received: both.")
    url, changes = store_url(store), changes or []
    if trials is not None:
        changes = [*changes, f"budget.trials={trials}"]
    with opened(store) as there:
        record = load_study(there, study)
    if source is None:
        plan = plan_again(record, changes, name=new, store_url=url)
    else:
        given = {("study", "name"): new, ("store", "url"): url, ("budget", "trials"): trials}
        plan = read_plan(source, given, options.NAMES)
    there = Store.open(url, create=False)
    with progress_bar(notes()) as progress:
        made = fork_study(there, study, plan, count_taken=count_taken, progress=progress)
    there.close()
    if json:
        print_json(made.to_json())
    else:
        show_fork(answers(), study, made)


@app.command()
def export(
    study: options.Study,
    format: Annotated[  # noqa: A002  the option's name
        str, typer.Option("--format", metavar="csv|parquet|json", help="What to write.")
    ] = "csv",
    out: Annotated[
        str | None, typer.Option(metavar="FILE", help="Where to.", show_default="standard output")
    ] = None,
    store: options.Store = None,
) -> None:
    """Writes all trials with their parameters and curves; a plain Optuna study's too."""
    from pathlib import Path

    from analysis.formatting import plural
    from analysis.results.export import check_target, load_export, write_export
    from search.cli.console import notes, progress_bar

    path = None if out is None else Path(out)
    check_target(format, path)
    with progress_bar(notes()) as progress:
        with opened(store) as there:
            found = load_export(there, study, progress)
        text = write_export(found, format, path, progress)
    if path is None:
        typer.echo(text, nl=False)
    else:
        notes().print(f"{plural(len(found.trials), 'trial')} in {path}", soft_wrap=True)


@app.command()
def delete(
    study: options.Study,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also while workers are at work on it.")
    ] = False,
    store: options.Store = None,
) -> None:
    """Deletes a study with its trials, its files, and prepared images that no other study uses."""
    import sys

    from search.cli.console import answers, notes, progress_bar
    from search.cli.views.studies import show_removal
    from search.errors import SettingsError
    from search.settings.plan import store_url
    from search.studies.deletion import remove_study
    from storage import Store, find_study_id

    with opened(store) as there:
        find_study_id(there, study)
    if not yes:
        if not sys.stdin.isatty():
            raise SettingsError(f"Say --yes to delete study {study!r}: nobody is here to ask.")
        if not typer.confirm(f"Delete study {study!r} for good?", err=True):
            raise typer.Exit(1)
    there = Store.open(store_url(store), create=False)
    with progress_bar(notes()) as progress:
        removal = remove_study(there, study, force=force, progress=progress)
    there.close()
    show_removal(answers(), study, removal)

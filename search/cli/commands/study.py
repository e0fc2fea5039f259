"""The commands of `convsearch study`: list, show, fork, resume, export and delete."""

from typing import Annotated

import typer

from search.cli import options
from search.cli.store import open_for_reading, open_for_writing

app = typer.Typer(
    help="The studies of a store: list, show, fork, resume, export, delete.", no_args_is_help=True
)


@app.command("list")
def list_(store: options.Store = None, json: options.Json = False) -> None:
    """List the studies: trials done, best, workers, state, age and size."""
    from search.cli.console import print_json, stdout_console
    from search.cli.views.studies import show_study_list
    from search.studies.listing import list_with_sizes

    with open_for_reading(store) as opened_store:
        found = list_with_sizes(opened_store)
    if json:
        print_json({"studies": [item.to_json() for item in found]})
    else:
        show_study_list(stdout_console(), found)


@app.command()
def show(study: options.Study, store: options.Store = None, json: options.Json = False) -> None:
    """Show a study's settings in words: its data, space, budget, files and versions."""
    from search.cli.console import print_json, stdout_console
    from search.cli.views.studies import show_settings
    from search.settings.stored import StudySettings
    from storage import load_study

    with open_for_reading(store) as opened_store:
        record = load_study(opened_store, study)
    settings = StudySettings.read(record.settings)
    if json:
        print_json({"study": study, "settings": settings.model_dump(mode="json")})
    else:
        show_settings(stdout_console(), record, settings)


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
            help="A setting to change, as optimizer=adam,sgd or training.max_epochs=40.",
        ),
    ] = None,
    trials: options.Trials = None,
    count_taken: Annotated[
        bool, typer.Option("--count-taken", help="Copied trials count for the budget.")
    ] = False,
    trust_modules: options.TrustModules = False,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Create a study with another space, data or settings from the trials of an older one.

    Every finished trial that fits is copied, and the budget is spent on new ones. With other data
    or training settings, the best configs are tried again first.
    """
    from search.cli.console import print_result, progress_bar, stderr_console
    from search.cli.views.studies import show_fork
    from search.errors import SettingsError
    from search.settings.option_keys import OPTION_NAMES, by_key
    from search.settings.overrides import plan_from_record
    from search.settings.store_url import store_url
    from search.settings.study_file import read_plan
    from search.studies.fork import fork as fork_study
    from search.studies.resolved_plan import resolve_plan
    from storage import load_study

    if source is not None and changes:
        raise SettingsError("Expected a study file or --set. Received: both.")
    url, changes = store_url(store), changes or []
    if trials is not None:
        changes = [*changes, f"budget.trials={trials}"]
    with open_for_reading(store) as opened_store:
        record = load_study(opened_store, study)
    if source is None:
        plan = plan_from_record(
            record, changes, name=new, store_url=url, trust_modules=trust_modules
        )
    else:
        plan = read_plan(source, by_key(study=new, store=url, trials=trials), OPTION_NAMES)
    with open_for_writing(url) as opened_store, progress_bar(stderr_console()) as progress:
        forked = fork_study(
            opened_store, study, resolve_plan(plan), count_taken=count_taken, progress=progress
        )
        place = opened_store.shown_url if store else None
    print_result(
        forked, lambda console, found: show_fork(console, study, found, place), as_json=json
    )


@app.command()
def resume(
    study: options.Study,
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Trials to run in all.", show_default="as before"),
    ] = None,
    store: options.Store = None,
) -> None:
    """Open a study again that was stopped or has ended, with the settings that it has.

    Its workers then serve it: `convsearch worker STUDY`.
    """
    from search.cli.console import stdout_console
    from search.cli.views.studies import show_resumed
    from search.studies.resumption import resume as resume_study

    with open_for_writing(store) as opened_store:
        resumed = resume_study(opened_store, study, n_trials=trials)
        place = opened_store.shown_url if store else None
    show_resumed(stdout_console(), resumed, place)


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
    """Write all trials with their parameters and curves; a plain Optuna study's too."""
    from pathlib import Path

    from analysis.results.export import check_target, load_export, write_export
    from search.cli.console import progress_bar, stderr_console
    from spaces.wording import plural

    path = None if out is None else Path(out)
    check_target(format, path)
    with progress_bar(stderr_console()) as progress:
        with open_for_reading(store) as opened_store:
            found = load_export(opened_store, study, progress)
        text = write_export(found, format, path, progress)
    if path is None:
        typer.echo(text, nl=False)
    else:
        stderr_console().print(f"{plural(len(found.trials), 'trial')} in {path}", soft_wrap=True)


@app.command()
def delete(
    study: options.Study,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also while workers serve it.")] = False,
    store: options.Store = None,
) -> None:
    """Delete a study with its trials, its files, and prepared images that no other study uses."""
    import sys

    from search.cli.console import progress_bar, stderr_console, stdout_console
    from search.cli.views.studies import show_removal
    from search.errors import SettingsError
    from search.studies.deletion import remove_study
    from storage import find_study_id

    with open_for_reading(store) as opened_store:
        find_study_id(opened_store, study)
    if not yes:
        if not sys.stdin.isatty():
            raise SettingsError(
                f"Give --yes to delete study {study!r}: there is no terminal to ask on."
            )
        if not typer.confirm(f"Delete study {study!r} for good?", err=True):
            raise typer.Exit(1)
    with open_for_writing(store) as opened_store, progress_bar(stderr_console()) as progress:
        removal = remove_study(opened_store, study, force=force, progress=progress)
    show_removal(stdout_console(), study, removal)

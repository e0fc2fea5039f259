"""The command `submit`, which creates a study for standing workers."""

from search.cli import options
from search.cli.study_options import STUDY_OPTIONS, StudyOptions, with_study_options


@with_study_options(*STUDY_OPTIONS)
def submit(
    given: StudyOptions, shared: options.Shared = False, json: options.Json = False
) -> None:
    """Create a study on SOURCE and return: workers of the store do the work.

    The same command again resumes the study, with the budget that it names.
    """
    from search.cli.console import (
        print_json,
        print_line,
        progress_bar,
        stderr_console,
        stdout_console,
    )
    from search.cli.next_command import needed_options
    from search.cli.views.run import describe_submission, show_submission
    from search.settings.option_keys import OPTION_NAMES
    from search.settings.study_file import read_plan
    from search.studies.resolved_plan import resolve_plan
    from search.studies.submission import submit as submit_plan
    from storage import Store
    from storage.file_rights import share_new_folders

    if shared:
        share_new_folders()
    plan = resolve_plan(read_plan(given.source, given.values, OPTION_NAMES))
    console = stderr_console()
    with progress_bar(console) as progress:
        submission = submit_plan(plan, progress=progress)
    submission.store.close()
    if json:
        print_json(describe_submission(submission))
        return
    show_submission(console, submission, with_workers=False)
    is_here = Store.file_of(submission.store.shown_url) is not None
    where = "on this machine" if is_here else "of any machine that reaches the store"
    print_line(stdout_console(), f"Workers {where} serve it:")
    place = None if plan.tables.store.url is None else submission.store.shown_url
    print_line(stdout_console(), f"  convsearch worker{needed_options(place)}")

"""The command `status`."""

from search.cli import options
from search.cli.store import open_for_reading, recover_study


def status(study: options.Study, store: options.Store = None, json: options.Json = False) -> None:
    """Show the progress of a study: counts, workers, trials per hour, time left.

    Trials of dead workers are recovered first.
    """
    from analysis import load_status
    from search.cli.console import print_result, stderr_console
    from search.cli.views.status import show_status

    with open_for_reading(store) as opened_store:
        recover_study(opened_store, store, study, stderr_console())
        found = load_status(opened_store, study)
    print_result(found, show_status, as_json=json)

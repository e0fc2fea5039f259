"""The command `convsearch`: its subcommands, and errors as one or two lines with an exit code.

Only typer is loaded at import, so that `--help` is fast.
"""

import gc
import logging
import os
import sys
import traceback
from typing import Annotated, Any, NoReturn

import typer

from search.cli.commands import data, study
from search.cli.commands.confirm import confirm
from search.cli.commands.dashboard import dashboard
from search.cli.commands.doctor import doctor
from search.cli.commands.predict import predict
from search.cli.commands.rank import rank
from search.cli.commands.report import report
from search.cli.commands.reproduce import reproduce
from search.cli.commands.run import demo, run
from search.cli.commands.status import status
from search.cli.commands.stop import stop
from search.cli.commands.submit import submit
from search.cli.commands.watch import watch
from search.cli.commands.worker import worker

SUCCESS, FAILURE, USAGE_ERROR, INTERRUPTED = 0, 1, 2, 130
GC_THRESHOLD = 100_000
"""New objects between garbage collections. Python's 700 took 0.2 s of each command, though loading
libraries and reading tables leave little garbage."""

OPTIONAL_VALUES = {"--dashboard": "--dashboard=auto"}
"""Options with an optional value. Click would take the next argument for it."""

app = typer.Typer(
    name="convsearch",
    help="Hyperparameter search for convolutional neural networks on medical images. "
    "--debug with any command shows where an error came from.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(f"convsearch {version('convsearch')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Define the options without a command."""


for _command in (
    *(demo, run, submit, worker, status, rank, watch, stop, doctor),
    *(confirm, report, dashboard, reproduce, predict),
):
    app.command()(_command)
app.add_typer(study.app, name="study")
app.add_typer(data.app, name="data")


def main() -> NoReturn:
    """Run the command line and exit."""
    gc.set_threshold(GC_THRESHOLD)
    arguments = [OPTIONAL_VALUES.get(argument, argument) for argument in sys.argv[1:]]
    arguments = [argument for argument in arguments if argument != "--debug"]
    is_debug = len(arguments) < len(sys.argv) - 1 or "CONVSEARCH_DEBUG" in os.environ
    try:
        code: Any = app(arguments, prog_name="convsearch", standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader of the output is gone; Python would fail again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILURE
    except Exception as error:
        code = _explain(error, is_debug=is_debug)
    sys.exit(code if isinstance(code, int) else SUCCESS)


def _explain(error: Exception, *, is_debug: bool) -> int:
    """Print an error and return its exit code."""
    from storage import hide_passwords  # An argument in the wrong place may be a store's URL.

    if is_debug:
        print(hide_passwords(traceback.format_exc()), end="", file=sys.stderr)
    code, text = _classify(error)
    if text:
        _print_error(hide_passwords(text))
    return code


def _print_error(text: str) -> None:
    """Print an error, or log it if standard error is JSON."""
    from search.machine.log_format import is_json_logged

    if is_json_logged():
        logging.getLogger(__name__).error("%s", text)
    else:
        print(f"Error: {text}", file=sys.stderr)


def _classify(error: Exception) -> tuple[int, str]:
    from analysis.errors import AnalysisError, ReportError
    from search.errors import (
        ArtifactError,
        FetchError,
        SearchError,
        StudyBusyError,
        WorkerError,
        WorkerStartError,
    )
    from spaces.errors import SpaceError
    from storage import explain_store_error, is_store_error
    from storage.errors import StoreError, StoreMissingError, StoreUrlError, StudyNotFoundError

    if isinstance(error, typer.Exit | typer.Abort):  # Abort: a question was not answered
        return getattr(error, "exit_code", INTERRUPTED), ""
    if hasattr(error, "format_message"):
        return USAGE_ERROR, _describe_misuse(error)
    misuses = (WorkerStartError, StoreUrlError, StoreMissingError, StudyNotFoundError)
    failures = (ArtifactError, FetchError, StudyBusyError, WorkerError, ReportError, StoreError)
    if isinstance(error, (*misuses, *failures, SearchError, SpaceError, AnalysisError)):
        is_failure = isinstance(error, failures) and not isinstance(error, misuses)
        return FAILURE if is_failure else USAGE_ERROR, str(error)
    if is_store_error(error):
        return FAILURE, f"The store failed: {explain_store_error(error)}"
    return FAILURE, (
        f"{type(error).__name__}: {error}\n"
        "This should not happen: please report it with what --debug prints."
    )


def _describe_misuse(error: Any) -> str:
    """Describe a misused command line; empty if its help was shown instead."""
    from search.settings.validation import describe_error

    message, reason = error.format_message(), error.__cause__
    parameter, context = (getattr(error, name, None) for name in ("param", "ctx"))
    if parameter is not None and hasattr(reason, "errors"):  # a value refused by pydantic
        first = reason.errors()[0]
        name = max(parameter.opts, key=len)
        name = name if name.startswith("-") else parameter.metavar or name.upper()
        message = f"{name}: {describe_error(first, str(first['input']))}"
    command = "convsearch" if context is None else context.command_path
    return f"{message} (see {command} --help)" if message else ""

"""Running a notebook on a new kernel of this Python, which is always shut down."""

import os
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbclient.util import run_sync
from nbformat import NotebookNode

from analysis.errors import ReportError
from analysis.output_files import Progress
from storage import hide_passwords

CELL_TIMEOUT_S = 300
"""One cell reads the whole store, which may be large or on a slow disk."""
START_TIMEOUT_S = 90
QUIET_ENVIRONMENT = {
    "PYTHONWARNINGS": "ignore",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # The debugger warns of frozen modules.
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
STORE_VARIABLE = "CONVSEARCH_STORE"
"""The variable that overrides the store that the notebook was written from."""
NO_CODE_FROM_FOLDER = "--InteractiveShellApp.ignore_cwd=True"
CODE_ROOT = Path(__file__).resolve().parents[3]
"""Where `analysis` is, which the kernel imports from another folder."""


def run_notebook(
    notebook: NotebookNode,
    folder: Path,
    environment: Mapping[str, str],
    progress: Progress | None = None,
) -> None:
    """Run all cells in order in `folder`, and store their outputs in the notebook.

    The kernel has the variables of this process and `environment`. The store's variable is not
    inherited, since the command line may have named another store.

    Raises:
        ReportError: If the kernel does not start, or a cell fails or takes too long.
    """
    with tempfile.TemporaryDirectory(prefix="convsearch-") as scratch:
        try:
            with _kernel(notebook, folder, Path(scratch), environment) as client:
                _run_cells(client, progress)
        except CellExecutionError as error:
            raise ReportError(f"A cell failed: {_error_text(error)}") from error
        except CellTimeoutError as error:
            raise ReportError(f"A cell took longer than {CELL_TIMEOUT_S} s.") from error
        except (DeadKernelError, RuntimeError, OSError) as error:
            message = _last_line(Path(scratch) / "kernel.log") or str(error)
            raise ReportError(
                f"The Jupyter kernel did not work: {hide_passwords(message)}"
            ) from error


@contextmanager
def _kernel(
    notebook: NotebookNode, folder: Path, scratch: Path, environment: Mapping[str, str]
) -> Iterator[NotebookClient]:
    manager = AsyncKernelManager(
        kernel_name="python3",
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),  # Not an installed kernel.
        connection_file=str(scratch / "kernel.json"),
    )
    client = NotebookClient(
        notebook,
        km=manager,
        timeout=CELL_TIMEOUT_S,
        iopub_timeout=CELL_TIMEOUT_S,  # By default, output more than 4 s late is lost.
        raise_on_iopub_timeout=True,
        startup_timeout=START_TIMEOUT_S,
        record_timing=False,
        store_widget_state=False,
        shutdown_kernel="immediate",
        extra_arguments=[NO_CODE_FROM_FOLDER],
    )
    variables = _variables(scratch, environment)
    try:
        with (
            (scratch / "kernel.log").open("wb") as log,
            client.setup_kernel(
                cwd=str(folder), env=variables, stdout=log, stderr=log, cleanup_kc=True
            ),
        ):
            yield client
    finally:  # Ctrl-C may come while the kernel starts, before the client can stop it.
        if manager.has_kernel:
            with suppress(RuntimeError):
                run_sync(manager.shutdown_kernel)(now=True)


def _run_cells(client: NotebookClient, progress: Progress | None) -> None:
    places = [place for place, cell in enumerate(client.nb.cells) if cell.cell_type == "code"]
    for n_done, place in enumerate(places, start=1):
        client.execute_cell(client.nb.cells[place], place, execution_count=n_done)
        if progress is not None:
            progress(n_done, len(places), "cells of the notebook run")
    client.set_widgets_metadata()


def _variables(scratch: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the kernel's environment; Jupyter and IPython write to `scratch` only."""
    roots = [it for it in os.environ.get("PYTHONPATH", "").split(os.pathsep) if it]
    paths = [str(Path(it).resolve()) for it in roots]
    if str(CODE_ROOT) not in {*paths, sysconfig.get_path("purelib")}:
        paths.append(str(CODE_ROOT))
    own = {
        "IPYTHONDIR": str(scratch / "ipython"),
        "JUPYTER_CONFIG_DIR": str(scratch / "config"),
        "JUPYTER_DATA_DIR": str(scratch / "data"),
        "JUPYTER_RUNTIME_DIR": str(scratch / "runtime"),
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONSAFEPATH": "1",  # The folder may hold a `numpy.py`.
    }
    inherited = {name: value for name, value in os.environ.items() if name != STORE_VARIABLE}
    return {**inherited, **QUIET_ENVIRONMENT, **environment, **own}


def _error_text(error: CellExecutionError) -> str:
    lines = str(error.evalue).strip().splitlines()
    return hide_passwords(f"{error.ename}: {lines[0]}" if lines else str(error.ename))


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""

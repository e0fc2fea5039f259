"""A function mapped over chunks of work on all cores, with the results in order.

For small images forked processes are twice as fast as threads, which compete for Python's GIL;
fresh processes take longer to start than thousands of images to decode. Forking is safe only if
nothing else runs in the process: threads are used if there are others, if TensorFlow is loaded,
and on macOS; for images of 256 pixels and more they are as fast.
"""

import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TypeVar

from search.data.source_api import Progress
from search.errors import DataError
from search.machine.cores import n_cores

ITEMS_AT_ONCE = 64
"""Of those that take a millisecond each, in one message between processes."""
T = TypeVar("T")
R = TypeVar("R")
Function = Callable[[Sequence[T]], list[R]]


def map_chunks(function: Function[T, R], chunks: Sequence[Sequence[T]]) -> Iterator[list[R]]:
    """Apply `function` to each chunk, several at once, and return the results in order.

    Raises:
        DataError: If `function` raises it, or a process is killed.
    """
    n_workers = min(n_cores(), len(chunks))
    if n_workers < 2:
        yield from map(function, chunks)
    elif can_fork():
        yield from _map_forked(function, chunks, n_workers)
    else:
        with ThreadPoolExecutor(n_workers) as pool:
            yield from pool.map(function, chunks)


def map_each(
    function: Callable[[T], R],
    items: Sequence[T],
    progress: Progress | None = None,
    what: str = "headers",
) -> Iterator[R]:
    """Apply a quick `function` to each item, several at once, and return the results in order.

    Raises:
        DataError: If `function` raises it, or a process is killed.
    """
    chunks = [items[i : i + ITEMS_AT_ONCE] for i in range(0, len(items), ITEMS_AT_ONCE)]
    n_done = 0
    for part in map_chunks(lambda some: list(map(function, some)), chunks):
        yield from part
        n_done += len(part)
        if progress:
            progress(n_done, len(items), what)


def can_fork() -> bool:
    """Whether this process can be forked safely."""
    alone = threading.active_count() == 1 and "tensorflow" not in sys.modules
    return sys.platform == "linux" and alone


def _map_forked(
    function: Function[T, R], chunks: Sequence[Sequence[T]], n_workers: int
) -> Iterator[list[R]]:
    """Give each worker every `n_workers`-th chunk, and take the results in turn.

    Each worker has its own pipe: if this process is killed, writing fails and the worker ends.
    """
    with _workers(function, chunks, n_workers) as results:
        for i in range(len(chunks)):
            try:
                result = results[i % n_workers].recv()
            except EOFError as error:
                raise DataError(
                    "A process that decodes images was killed, perhaps for lack of memory."
                    " Try again with fewer or smaller images."
                ) from error
            if isinstance(result, DataError):
                raise result
            yield result


@contextmanager
def _workers(
    function: Function[T, R], chunks: Sequence[Sequence[T]], n_workers: int
) -> Iterator[list[Connection]]:
    context = get_context("fork")
    processes, results = [], []
    try:
        for k in range(n_workers):
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(
                target=_serve, args=(sender, function, chunks[k::n_workers]), daemon=True
            )
            with warnings.catch_warnings():  # Python 3.12 counts the threads of numpy's BLAS.
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            sender.close()
            processes.append(process)
            results.append(receiver)
        yield results
    finally:
        for process in processes:
            process.kill()
        for process, receiver in zip(processes, results, strict=False):
            process.join()
            receiver.close()


def _serve(results: Connection, function: Function[T, R], chunks: Sequence[Sequence[T]]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent handles Ctrl-C, and ends this one.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        for chunk in chunks:
            results.send(function(chunk))
    except DataError as error:
        results.send(error)
    except BrokenPipeError:
        return  # The parent is gone.

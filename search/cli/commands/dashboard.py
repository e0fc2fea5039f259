"""The command `dashboard`: a store in a browser, read-only unless --allow-edit is given."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from search import defaults
from search.cli import options
from search.cli.store import open_for_reading, open_for_writing

if TYPE_CHECKING:
    from search.dashboard.listener import Listener
    from storage import Store


def dashboard(
    store: options.Store = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for all interfaces.")
    ] = defaults.DASHBOARD_HOST,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port; 0 picks a free one.")
    ] = defaults.DASHBOARD_PORT,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="CONVSEARCH_TOKEN",
            show_envvar=False,
            metavar="TOKEN",
            help="Password of the dashboard, 16 characters or more. Process lists show it: "
            "prefer $CONVSEARCH_TOKEN.",
            show_default="none on this machine alone, else generated and printed",
        ),
    ] = None,
    allow_edit: Annotated[
        bool, typer.Option("--allow-edit", help="Users may edit notes and delete studies.")
    ] = False,
    behind_proxy: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address of a proxy whose X-Forwarded-For and -Proto are trusted.",
            show_default="none",
        ),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open a browser.")
    ] = False,
    supervised: Annotated[
        bool, typer.Option("--supervised", hidden=True, help="Exit when the input closes.")
    ] = False,
    socket: Annotated[
        int | None, typer.Option(hidden=True, help="A listening socket to inherit.")
    ] = None,
) -> None:
    """Show the studies of a store in a browser while they run; Ctrl-C ends it.

    Other machines need a token, and nothing can be changed without --allow-edit.
    """
    from search.machine.signals import exit_on_signal

    exit_on_signal()
    from analysis.dashboard.guard import Access
    from search.dashboard.listener import Listener
    from search.dashboard.server import check_proxy, choose_token, log_one_line_errors, serve

    log_one_line_errors()
    proxy = check_proxy(behind_proxy)
    choose_token(token, is_needed=False)  # An invalid one is refused before the store is opened.
    open_store = open_for_writing if allow_edit else open_for_reading
    with open_store(store) as opened_store:
        listener = (
            Listener.open(host, port, port_option="convsearch dashboard --port ")
            if socket is None
            else Listener.inherit(socket)
        )
        is_needed = not listener.is_loopback or proxy is not None
        known = choose_token(token, is_needed=is_needed)
        hosts = frozenset[str]() if known is None else None
        if socket is None:
            _announce(opened_store, listener, known, is_made=token is None, allows_edit=allow_edit)
        if not no_browser:
            _open_browser(listener.local_address)
        access = Access(known, allow_edit, hosts)
        signals = serve(opened_store, listener, access, proxy=proxy, is_supervised=supervised)
    raise typer.Exit(128 + signals[0] if signals else 0)


def _announce(
    store: "Store", listener: "Listener", token: str | None, *, is_made: bool, allows_edit: bool
) -> None:
    """Print the address, alone on standard output, and notes on access."""
    from search.cli.console import print_line, stderr_console
    from search.dashboard.server import with_token

    console = stderr_console()
    how = "which may be changed there" if allows_edit else "read-only"
    print_line(console, f"Dashboard of {store.shown_url}, {how}; Ctrl-C ends it.")
    if token is not None and is_made:
        print_line(
            console, "The address below contains a token, created for this run: keep it private."
        )
    elif token is not None:
        print_line(console, "A browser needs the token that was given.")
    if not listener.is_loopback:
        print_line(
            console, "This is HTTP: on a network that is not trusted, put it behind a proxy."
        )
    if listener.numeric_address is not None:
        print_line(console, f"Where the name below is not known: {listener.numeric_address}")
    address = listener.address
    typer.echo(address if token is None or not is_made else with_token(address, token))
    sys.stdout.flush()


def _open_browser(address: str) -> None:
    """Open a browser on a desktop, without the token: process lists would show it."""
    if not sys.stderr.isatty() or "SSH_CONNECTION" in os.environ or not _is_desktop():
        return
    import threading
    import webbrowser

    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    if type(browser) is not webbrowser.GenericBrowser:  # It would take the terminal.
        threading.Thread(target=browser.open, args=(address,), daemon=True).start()


def _is_desktop() -> bool:
    if sys.platform in {"darwin", "win32"}:
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))

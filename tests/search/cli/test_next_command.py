import shlex

from search.cli.next_command import needed_options


def test_options_can_be_pasted_into_a_shell() -> None:
    url = "sqlite:////my scans/store.db"
    words = shlex.split(f"convsearch confirm scans{needed_options(url, trusts_modules=True)}")
    assert words == ["convsearch", "confirm", "scans", "--store", url, "--trust-modules"]


def test_default_store_needs_no_option() -> None:
    assert needed_options("") == needed_options(None) == ""

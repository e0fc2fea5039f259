"""Commands, public names, environment variables and tables of the store stay the same."""

import importlib
import inspect
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer

import search.__main__  # noqa: F401 - what `python -m search` runs
from storage import Store

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("search", "analysis", "storage", "spaces")
PUBLIC = ("search", "analysis", "spaces", "spaces.models", "spaces.parameters")


def describe(parameter: Any) -> dict[str, Any]:
    """Return all properties of an option or argument except its texts."""
    names = ("nargs", "required", "multiple", "is_flag", "count", "hidden", "default", "envvar")
    kept = {name: getattr(parameter, name, None) for name in (*names, "min", "max")}
    annotation = parameter.type_descriptor.annotation
    kind = {"type": annotation.__name__ if inspect.isclass(annotation) else str(annotation)}
    shown = getattr(parameter, "show_default", None)
    if isinstance(shown, str) and re.fullmatch(r"[\d.,]+|[a-z]+", shown):
        kept["shown"] = shown
    said = {key: value for key, value in {**kind, **kept}.items() if value not in (None, False)}
    return {"names": [*parameter.opts, *parameter.secondary_opts], **said}


def walk(command: Any, path: str) -> dict[str, Any]:
    """Return a command and its subcommands by their full names."""
    found: dict[str, Any] = {path: [describe(it) for it in command.params if it.name != "help"]}
    for name, inner in getattr(command, "commands", {}).items():
        found |= walk(inner, f"{path} {name}")
    return found


def test_commands_and_their_options(check: Any) -> None:
    main = sys.modules["search.__main__"].main
    command: Any = typer.main.get_command(sys.modules[main.__module__].app)
    check("command_line", walk(command, "convsearch"))


@pytest.mark.parametrize("package", PUBLIC)
def test_public_names_are_still_there(expect: Any, package: str) -> None:
    """New names, and new parameters with defaults, are allowed."""
    module = importlib.import_module(package)
    names = getattr(module, "__all__", None) or [
        name for name, value in vars(module).items() if is_own(name, value)
    ]
    found = {name: signature_of(getattr(module, name)) for name in sorted(names)}
    for name, signature in expect(f"names_{package}", found).items():
        assert name in found
        assert [it for it in found[name] if it in signature] == signature, name
        others = [it for it in found[name] if it not in signature]
        assert all("=" in it or it.startswith("var_") for it in others), name


def is_own(name: str, value: Any) -> bool:
    return not name.startswith("_") and getattr(value, "__module__", "").startswith("spaces")


def signature_of(value: Any) -> list[str]:
    """Return the parameters with defaults and without types; a constant has none."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return []
    return [
        f"{it.kind.name.lower()} {it.name}"
        + ("" if it.default is it.empty or " at 0x" in repr(it.default) else f"={it.default!r}")
        for it in parameters
    ]


def test_environment_variables(check: Any) -> None:
    found = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            found |= set(re.findall(r"CONVSEARCH_[A-Z_]*[A-Z]", path.read_text()))
    check("environment", {"variables": sorted(found)})


def test_tables_of_a_store(check: Any, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Store.open(f"sqlite:///{path}").close()
    check("store_schema", read_schema(path))


def read_schema(path: Path) -> dict[str, Any]:
    """Return the columns and indexes of each table."""
    with closing(sqlite3.connect(path)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        found: dict[str, Any] = {}
        for (table,) in sorted(tables):
            columns = database.execute(f"PRAGMA table_info({table})").fetchall()
            found[table] = [
                f"{name} {kind}"
                + (" NOT NULL" if not_null else "")
                + (f" DEFAULT {default}" if default is not None else "")
                + (f" KEY {key}" if key else "")
                for _, name, kind, not_null, default, key in columns
            ]
            for _, index, is_unique, *_ in database.execute(f"PRAGMA index_list({table})"):
                on = [row[2] for row in database.execute(f"PRAGMA index_info({index})")]
                name = "" if index.startswith("sqlite_") else f" {index}"
                unique = "UNIQUE " if is_unique else ""
                found[table].append(f"{unique}INDEX{name} ON {', '.join(on)}")
            found[table].sort()
        version = "SELECT schema_version FROM convsearch_version"
        found["schema_version"] = database.execute(version).fetchone()[0]
    return found

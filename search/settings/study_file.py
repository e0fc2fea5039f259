"""Reading a study's plan: a TOML study file, with the command line's options over it."""

import difflib
import tomllib
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from search.errors import SettingsError
from search.settings.option_keys import Options
from search.settings.plan import StudyPlan
from search.settings.validation import describe_error

MAX_FILE_BYTES = 1_000_000


def read_plan(source: str, options: Options, names: Mapping[tuple[str, str], str]) -> StudyPlan:
    """Return the plan of a source and options.

    Args:
        source: A folder, an `.npz`, `demo`, or a study file (`.toml`).
        options: What the command line said.
        names: What each option is called there, for messages.

    Raises:
        SettingsError: If something is unknown, of a wrong type or out of range.
    """
    given = {place: value for place, value in options.items() if value is not None}
    if source.lower().endswith(".toml"):
        path = Path(source)
        tables = _read_toml(path)
        _resolve_paths(path, tables)
    else:
        tables = {"data": {"source": source}}
    return make_plan(tables, given, names)


def make_plan(
    tables: dict[str, Any], given: Options, names: Mapping[tuple[str, str], str]
) -> StudyPlan:
    """Return the plan of tables as a study file holds them, with given values over them.

    Raises:
        SettingsError: If something is unknown, of a wrong type or out of range.
    """
    for (table, key), value in given.items():
        tables.setdefault(table, {})
        if isinstance(tables[table], dict):
            tables[table][key] = value
    try:
        return StudyPlan.model_validate(tables)
    except ValidationError as error:
        called = {place: names.get(place, "") for place in given}
        raise SettingsError(_explain(error, called)) from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SettingsError(f"{path} is larger than a study file may be (1 MB).")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"Cannot read the study file {path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from error


def _resolve_paths(file: Path, tables: dict[str, Any]) -> None:
    """Read the relative paths in a study file's tables as beside it."""
    data, space, transfer = (tables.get(name) for name in ("data", "space", "transfer"))
    if isinstance(data, dict) and isinstance(data.get("source"), str):
        data["source"] = _resolve(file, data["source"], names=("demo",))
    if isinstance(transfer, dict) and isinstance(transfer.get("weights"), str):
        transfer["weights"] = _resolve(file, transfer["weights"], names=("imagenet", "none", ""))
    if isinstance(space, dict) and isinstance(space.get("modules"), str | list):
        modules = space["modules"]
        modules = [modules] if isinstance(modules, str) else modules
        space["modules"] = [_resolve_module(file, name) for name in modules]


def _resolve(file: Path, path: str, *, names: Container[str]) -> str:
    """Read a relative path as beside its study file; a name stays what it is."""
    return path if path in names else str(file.parent / Path(path).expanduser())


def _resolve_module(file: Path, name: object) -> object:
    """Read a relative path as beside the study file; the name of a module stays a name."""
    if isinstance(name, str) and name.endswith(".py"):
        return str(file.absolute().parent / Path(name).expanduser())
    return name


def _explain(error: ValidationError, called: Mapping[tuple[str, str], str]) -> str:
    """Say the first thing that is wrong with a plan, where it is, and what was meant."""
    first = error.errors()[0]
    place = tuple(str(part) for part in first["loc"])
    option = called.get((place[0], place[1]), "") if len(place) > 1 else ""
    if first["type"] == "extra_forbidden":
        return _explain_unknown(place)
    if first["type"] == "missing":
        return (
            f"[{place[0]}] lacks `{place[-1]}`." if len(place) > 1 else f"[{place[0]}] is missing."
        )
    where = option or (f"`{place[1]}` in [{place[0]}]" if len(place) > 1 else f"[{place[0]}]")
    return f"{where}: {describe_error(first)}"


def _explain_unknown(place: tuple[str, ...]) -> str:
    known = list(StudyPlan.model_fields)
    if len(place) == 1:
        return f"Unknown table [{place[0]}].{_nearest(place[0], known)}"
    table = StudyPlan.model_fields[place[0]].annotation
    if isinstance(table, type) and issubclass(table, BaseModel):
        known = list(table.model_fields)
    elsewhere = _table_of(place[-1])
    hint = f" It belongs in {elsewhere}." if elsewhere else _nearest(place[-1], known)
    return f"Unknown key `{place[-1]}` in [{place[0]}].{hint}"


def _table_of(key: str) -> str | None:
    """Where a key belongs that stands in the wrong table."""
    if key in {"backbone", "backbones"}:
        return "[space], as `backbone`"
    for name, field in StudyPlan.model_fields.items():
        table = field.annotation
        if isinstance(table, type) and issubclass(table, BaseModel) and key in table.model_fields:
            return f"[{name}]"
    return None


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean `{near[0]}`?" if near else f" Known: {', '.join(known)}."

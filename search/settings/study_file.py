"""Read a study's plan from a TOML study file and command-line options."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from search.errors import SettingsError
from search.settings.option_keys import Options
from search.settings.plan import TABLES, StudyPlan
from search.settings.toml import parse_toml
from search.settings.validation import describe_error, suggest_name

MAX_FILE_BYTES = 1_000_000


def read_plan(source: str, options: Options, names: Mapping[tuple[str, str], str]) -> StudyPlan:
    """Return the plan of a source or a study file (`.toml`), overridden by options.

    `names` are the names of the options in messages.

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
    """Return the plan of the tables of a study file, overridden by given values."""
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
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"Cannot read the study file {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from error
    return parse_toml(text, path)


def _resolve_paths(file: Path, tables: dict[str, Any]) -> None:
    """Resolve relative paths against the folder of the study file; names stay as they are."""
    data, space, transfer = (tables.get(name) for name in ("data", "space", "transfer"))
    if isinstance(data, dict) and isinstance(data.get("source"), str):
        source = data["source"]
        data["source"] = _resolve(file.parent, source, is_name=source == "demo")
    for key in ("root", "join"):
        if isinstance(data, dict) and isinstance(data.get(key), str):
            data[key] = _resolve(file.parent, data[key], is_name=False)
    if isinstance(data, dict) and isinstance(data.get("split_list"), dict):
        data["split_list"] = {
            split: _resolve(file.parent, it, is_name=False) if isinstance(it, str) else it
            for split, it in data["split_list"].items()
        }
    if isinstance(transfer, dict) and isinstance(transfer.get("weights"), str):
        weights = transfer["weights"]
        is_name = weights in {"imagenet", "none", ""}
        transfer["weights"] = _resolve(file.parent, weights, is_name=is_name)
    if isinstance(space, dict) and isinstance(space.get("modules"), str | list):
        modules = space["modules"]
        folder = file.absolute().parent  # A stored study has absolute paths of modules.
        space["modules"] = [
            _resolve(folder, it, is_name=not it.endswith(".py")) if isinstance(it, str) else it
            for it in ([modules] if isinstance(modules, str) else modules)
        ]


def _resolve(folder: Path, path: str, *, is_name: bool) -> str:
    return path if is_name else str(folder / os.path.expanduser(path))  # noqa: PTH111


def _explain(error: ValidationError, called: Mapping[tuple[str, str], str]) -> str:
    """Describe the first error: its place, its reason and a suggestion."""
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
    if len(place) == 1:
        return f"Unknown table [{place[0]}].{suggest_name(place[0], list(StudyPlan.model_fields))}"
    elsewhere, known = _table_of(place[-1]), list(TABLES[place[0]].model_fields)
    hint = f" It belongs in {elsewhere}." if elsewhere else suggest_name(place[-1], known)
    return f"Unknown key `{place[-1]}` in [{place[0]}].{hint}"


def _table_of(key: str) -> str | None:
    """Return the table in which a misplaced key belongs."""
    if key in {"backbone", "backbones"}:
        return "[space], as `backbone`"
    return next((f"[{name}]" for name, it in TABLES.items() if key in it.model_fields), None)

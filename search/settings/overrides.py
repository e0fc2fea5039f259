"""The plan of a recorded study with `KEY=VALUE` overrides, for `study fork --set`."""

from collections.abc import Mapping, Sequence
from typing import Any

from search.errors import SettingsError
from search.settings.plan import TABLES, StudyPlan
from search.settings.stored import StudySettings
from search.settings.study_file import make_plan
from search.settings.toml import parse_toml
from search.settings.validation import suggest_name
from spaces import SearchSpace, choose_families
from spaces.parameters.narrowing import shared_key
from storage import StudyRecord

Tables = dict[str, dict[str, Any]]
Overrides = Mapping[tuple[str, str], Any]
OVERRIDABLE_TABLES = ("data", "space", "training", "search", "transfer", "budget")
"""Tables that a fork may change; its store and its name are fixed."""


def plan_from_record(
    record: StudyRecord,
    changes: Sequence[str],
    *,
    name: str,
    store_url: str,
    trust_modules: bool = False,
) -> StudyPlan:
    """Return the plan of a recorded study with overrides and a new name.

    `trust_modules` allows to run modules that the record names.

    Raises:
        SettingsError: If a key is unknown, or a value is invalid.
        SpaceError: If a family is unknown on this machine, or a module is not trusted.
    """
    settings = StudySettings.read(record.settings)
    own = settings.load_modules(record.name, trust_modules=trust_modules)
    space = SearchSpace.from_json(settings.space)
    changed = read_overrides(changes, space)
    tables = _tables_of(settings, record)
    table = {**space.to_table(), "modules": [module.source for module in settings.modules]}
    tables["space"] = _override_space(table, changed, own)
    changed |= {("study", "name"): name, ("store", "url"): store_url}
    return make_plan(tables, changed, {place: f"--set {'.'.join(place)}" for place in changed})


def read_overrides(texts: Sequence[str], space: SearchSpace) -> dict[tuple[str, str], Any]:
    """Parse `KEY=VALUE` texts; a key is `TABLE.KEY`, or `KEY` if only one table has it."""
    changed = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise SettingsError(
                f"--set: expected KEY=VALUE, as optimizer=adam,sgd. Received: {text}"
            )
        changed[_resolve_key(key.strip(), space)] = _read_value(value.strip())
    return changed


def _tables_of(settings: StudySettings, record: StudyRecord) -> Tables:
    return {
        **settings.model_dump(include={"data", "training", "search", "transfer"}),
        "budget": {"trials": record.n_trials, "timeout": record.timeout_s},
        "store": {"artifacts": settings.artifacts, "max_files_mb": settings.max_files_mb},
    }


def _override_space(
    table: dict[str, Any], changed: Overrides, own: Sequence[str]
) -> dict[str, Any]:
    """Drop keys that the new families lack, and those that a shared key replaces."""
    shared = {key for place, key in changed if place == "space"}
    kept = {
        key: value
        for key, value in table.items()
        if key in shared or shared_key(key) not in shared
    }
    families = changed.get(("space", "families"))
    if families is None:
        return kept
    names = choose_families([families] if isinstance(families, str) else families, own)
    known = {*SearchSpace.create(names).domains, "families", "modules"}
    return {key: value for key, value in kept.items() if key in known}


def _resolve_key(key: str, space: SearchSpace) -> tuple[str, str]:
    known = _known_keys(space)
    dotted = {".".join(place): place for place in known}
    if key in dotted:
        return dotted[key]
    table, dot, rest = key.partition(".")
    if dot and table == "space":
        return table, rest  # It may belong to a new family; `spaces` checks it.
    places = [place for place in known if place[1] == key]
    if len(places) == 1:
        return places[0]
    if places:
        raise SettingsError(
            f"--set: `{key}` may be {' or '.join('.'.join(place) for place in places)}. Say which."
        )
    names = [*dotted, *(place[1] for place in known)]
    hint = suggest_name(key, names, f" Tables: {', '.join(OVERRIDABLE_TABLES)}.")
    raise SettingsError(f"--set: unknown key `{key}`.{hint}")


def _known_keys(space: SearchSpace) -> list[tuple[str, str]]:
    places = [
        (table, key)
        for table in OVERRIDABLE_TABLES
        if table in TABLES
        for key in TABLES[table].model_fields
    ]
    names = {"families", "modules", *space.domains, *map(shared_key, space.domains)}
    return places + [("space", name) for name in sorted(names)]


def _read_value(text: str) -> Any:
    """Parse a value as TOML; words need no quotes, and commas make a list."""
    try:
        return parse_toml(f"value = {text}", "--set")["value"]
    except SettingsError:
        pass
    if "," in text and not text.startswith(("[", "{")):
        return [_read_value(part.strip()) for part in text.split(",")]
    return text

"""MkDocs hook: puts tables that are made from the program itself into the pages of the reference.

A page holds a comment such as `<!-- generated: commands -->`; what is generated takes its place.
The functions return Markdown and need no MkDocs, so that tests can call them.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

DOCS = Path(__file__).resolve().parents[1]
DECISIONS = "decisions/"
_MARK = re.compile(r"<!-- generated: ([a-z-]+) -->")
_ATTRIBUTE = re.compile(r"^    (\w+): (.+(?:\n {8,}.+)*)", re.MULTILINE)
_TYPES = {str: "text", int: "integer", float: "number", bool: "true or false", dict: "table"}
_VALUES = {"str": "TEXT", "int": "N", "float": "NUMBER"}
_NUMBERED = re.compile(r"^([a-z]+)(\d+)(_\w+)$")


def on_config(config: Any) -> Any:
    """Lists the decisions, newest first, where the navigation names their folder."""
    for section in config.nav:
        for entries in section.values():
            if isinstance(entries, list):
                _expand_decisions(entries)
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replaces the comments that name something generated."""
    return _MARK.sub(lambda match: GENERATORS[match[1]](), markdown)


def decision_files() -> list[Path]:
    """Return the files of the decisions, the newest day first."""
    by_name = sorted((DOCS / DECISIONS).glob("20*.md"))
    return sorted(by_name, key=lambda path: path.name[:10], reverse=True)


def list_decisions() -> str:
    """Return a list of the decisions with their dates, a heading for each day."""
    lines, day = [], ""
    for path in decision_files():
        if path.name[:10] != day:
            day = path.name[:10]
            lines += ["", f"## {day}", ""]
        lines.append(f"- [{title_of(path)}]({path.name})")
    return "\n".join(lines)


def title_of(path: Path) -> str:
    """Return the first heading of a page."""
    with path.open(encoding="utf-8") as lines:
        return next(line for line in lines if line.startswith("# ")).removeprefix("# ").strip()


def describe_settings() -> str:
    """Return a table of settings for each table of a study file, but for the search space."""
    from search.settings.plan import StudyPlan

    parts = []
    for name, field in StudyPlan.model_fields.items():
        if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
            parts.append(_describe_table(name, field.annotation))
    return "\n\n".join(parts)


def describe_parameters() -> str:
    """Return a table of the parameters of the search space, by family."""
    from spaces import SearchSpace, family_names

    own = {name: SearchSpace.create([name]).domains for name in family_names()}
    first = next(iter(own.values()))
    shared = [name for name in first if all(name in domains for domains in own.values())]
    groups = {"Shared by all families": {name: first[name] for name in shared}}
    for family, domains in own.items():
        groups[f"Family `{family}`"] = {
            name: domain for name, domain in domains.items() if name not in shared
        }
    return "\n\n".join(_describe_domains(title, domains) for title, domains in groups.items())


def describe_commands() -> str:
    """Return a section for each command: what it does, its arguments and its options."""
    return "\n\n".join(_describe_command(path, command) for path, command in commands())


def commands() -> Iterator[tuple[str, Any]]:
    """Yield each command that can be given, by its name as `study fork`."""
    import typer

    from search.cli.main import app

    yield from _leaves("", typer.main.get_command(app))


GENERATORS: Mapping[str, Callable[[], str]] = {
    "commands": describe_commands,
    "decisions": list_decisions,
    "parameters": describe_parameters,
    "settings": describe_settings,
}


def _expand_decisions(entries: list[Any]) -> None:
    for entry in entries:
        for title, target in list(entry.items()) if isinstance(entry, dict) else ():
            if target == DECISIONS:
                pages = [DECISIONS + path.name for path in decision_files()]
                entry[title] = [f"{DECISIONS}index.md", *pages]


def _describe_table(name: str, table: type[BaseModel]) -> str:
    """Describe one table of a study file."""
    summary, meanings = _read_docstring(table)
    rows = [
        (
            f"`{key}`",
            field.description or meanings.get(key, ""),
            ", ".join(filter(None, [_type_of(field), _allowed(field)])),
            _default(field),
        )
        for key, field in table.model_fields.items()
    ]
    titles = ("Key", "Meaning", "Value", "Default")
    return f"## `[{name}]`\n\n{summary}\n\n{_table(titles, rows)}"


def _read_docstring(table: type[BaseModel]) -> tuple[str, dict[str, str]]:
    """Return the first sentence of a docstring, and its attributes by name."""
    text = inspect.cleandoc(table.__doc__ or "")
    _, _, attributes = text.partition("Attributes:\n")
    found = {
        match[1]: _sentence(" ".join(match[2].split()))
        for match in _ATTRIBUTE.finditer(attributes)
    }
    return text.partition("\n\n")[0].replace("\n", " "), found


def _type_of(field: FieldInfo) -> str:
    kinds = dict.fromkeys(_name_of_type(part) for part in _parts(field.annotation))
    if any(map(_is_duration, _constraints(field.annotation, field.metadata))):
        return "duration"
    if any(get_origin(part) is Literal for part in _parts(field.annotation)):
        kinds.pop("text", None)
    return " or ".join(kinds)


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield the types of a union, without None; literals as their own types."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        for part in get_args(annotation):
            yield from _parts(part)
    elif origin is Annotated:
        yield from _parts(get_args(annotation)[0])
    elif annotation is not NoneType:
        yield annotation


def _name_of_type(part: Any) -> str:
    if get_origin(part) is Literal:
        return "text"
    if get_origin(part) is tuple:
        (inner,), (_, *rest) = _parts(get_args(part)[0]), get_args(part)
        return f"{'list of' if rest == [...] else len(rest) + 1} {_TYPES[inner]}s"
    if get_origin(part) is dict:
        return "table of lists"
    return _TYPES.get(part, getattr(part, "__name__", str(part)))


def _constraints(annotation: Any, metadata: Iterable[Any]) -> Iterator[Any]:
    """Yield what limits the values of a field, also within a union."""
    yield from metadata
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        for item in more:
            yield from item.metadata if isinstance(item, FieldInfo) else [item]
        yield from _constraints(inner, ())
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _constraints(part, ())


def _is_duration(item: Any) -> bool:
    return getattr(getattr(item, "func", None), "__name__", "") == "parse_duration"


def _allowed(field: FieldInfo) -> str:
    """Describe which values a field takes."""
    found = list(_constraints(field.annotation, field.metadata))
    bounds = {
        name: getattr(item, name)
        for item in found
        for name in ("ge", "gt", "le", "lt", "min_length", "max_length")
        if getattr(item, name, None) is not None
    }
    words = [
        f"`{value}`"
        for part in _parts(field.annotation)
        if get_origin(part) is Literal
        for value in get_args(part)
    ]
    numbers = _range(bounds)
    if any(get_origin(part) in (tuple, dict) for part in _parts(field.annotation)):
        numbers = numbers.replace("characters", "entries")
    if numbers and words:
        numbers += ","
    return " or ".join(filter(None, [numbers, *words]))


def _range(bounds: Mapping[str, Any]) -> str:
    if "max_length" in bounds:
        return f"at most {bounds['max_length']} characters"
    low, high = bounds.get("ge"), bounds.get("le")
    above, below = bounds.get("gt"), bounds.get("lt")
    if low is not None and high is not None:
        return f"{_number(low)} to {_number(high)}"
    if low is not None:
        return f"{_number(low)} or more" + (f", below {_number(below)}" if below else "")
    if above is not None and below is not None:
        return f"above {_number(above)}, below {_number(below)}"
    return "" if above is None else f"above {_number(above)}"


def _number(value: float) -> str:
    power = round(value).bit_length() - 1
    return f"2<sup>{power}</sup>" if power > 20 and value == 2**power else f"{value:,g}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ("", (), {}):
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value:g}`"


def _describe_domains(title: str, domains: Mapping[str, Any]) -> str:
    rows = [
        (f"`{key}`", _kind_of(domain), str(domain), "log" if _is_log(domain) else "")
        for key, domain in _numbered_as_one(domains).items()
    ]
    return f"### {title}\n\n{_table(('Parameter', 'Type', 'Values', 'Scale'), rows)}"


def _numbered_as_one(domains: Mapping[str, Any]) -> dict[str, Any]:
    """Return the domains with `stage1_convs`, `stage2_convs`, ... as one `stageN_convs`."""
    found: dict[str, Any] = {}
    for name, domain in domains.items():
        shared = _NUMBERED.sub(r"\1N\3", name)
        is_shared = all(
            other == domain
            for key, other in domains.items()
            if _NUMBERED.sub(r"\1N\3", key) == shared
        )
        found.setdefault(shared if is_shared else name, domain)
    return found


def _kind_of(domain: Any) -> str:
    from spaces.parameters import Choices, IntRange

    if isinstance(domain, Choices):
        return "true or false" if set(domain.values) == {True, False} else "choice"
    return "integer" if isinstance(domain, IntRange) else "number"


def _is_log(domain: Any) -> bool:
    return bool(getattr(domain, "log", False))


def _leaves(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if not children:
        yield path, command
        return
    for name, child in children.items():
        if not child.hidden:
            yield from _leaves(f"{path} {name}".strip(), child)


def _describe_command(path: str, command: Any) -> str:
    shown = [param for param in command.params if not getattr(param, "hidden", False)]
    arguments = [param for param in shown if param.param_type_name == "argument"]
    options = [param for param in shown if param.param_type_name == "option"]
    usage = " ".join(["convsearch", path, *map(_usage_of, arguments), "[OPTIONS]"])
    parts = [f"## `convsearch {path}`", inspect.cleandoc(command.help), f"```text\n{usage}\n```"]
    if arguments:
        rows = [(f"`{_bare_name(it)}`", _help_of(it), _default_of(it)) for it in arguments]
        parts.append(_table(("Argument", "Meaning", "Default"), rows))
    if options:
        rows = [(_option_names(it), _help_of(it), _default_of(it)) for it in options]
        parts.append(_table(("Option", "Meaning", "Default"), rows))
    return "\n\n".join(parts)


def _usage_of(argument: Any) -> str:
    name = _bare_name(argument) + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _bare_name(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper()).strip("[].")


def _option_names(option: Any) -> str:
    """Return an option as it is typed, with what its value is called."""
    names = sorted([*option.opts, *option.secondary_opts], key=lambda name: (len(name) > 2, name))
    if not option.opts[0].startswith("--no-") and option.secondary_opts:
        names = [*option.opts, *option.secondary_opts]
    value = "" if option.is_flag else _value_of(option)
    glue = "" if value.startswith("[=") else " "
    return ", ".join(f"`{name}{glue}{value}`".replace(" `", "`") for name in names)


def _value_of(option: Any) -> str:
    if option.metavar:
        return str(option.metavar)
    annotation = getattr(getattr(option, "type_descriptor", None), "annotation", str)
    if get_origin(annotation) is Literal:
        return "|".join(map(str, get_args(annotation)))
    return _VALUES.get(getattr(annotation, "__name__", "str"), "TEXT")


def _help_of(param: Any) -> str:
    return _sentence(getattr(param, "help", "") or "")


def _default_of(param: Any) -> str:
    if isinstance(param.show_default, str):
        return param.show_default
    if param.required:
        return "required"
    default = param.default
    if default is True:
        return f"`{param.opts[0]}`"
    if not param.show_default or default is None or default is False or default == ():
        return ""
    return f"`{default}`"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ") or " "


def _sentence(text: str) -> str:
    text = text.strip()
    return text + ("" if not text or text[-1] in ".!?" else ".")

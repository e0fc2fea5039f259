"""Users' modules: files outside the package that register families of their own.

A study keeps their SHA-256, so that each process that uses its networks runs the same source.
"""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from spaces.errors import SpaceError
from spaces.families.registry import family_names, find_family, is_builtin, unregister_families
from spaces.parameters.domain_types import Domain, Value, show
from spaces.parameters.head_and_optimizer import common_parameters
from spaces.parameters.narrowing import contains

ALL = "all"
_loaded: dict[str, tuple["FamilyModule", tuple[str, ...]]] = {}
"""The modules loaded in this process by source, with the families that each registered."""


@dataclass(frozen=True, slots=True)
class FamilyModule:
    """A user's module: the absolute path or importable name of its source, and its SHA-256."""

    source: str
    sha256: str

    @classmethod
    def find(cls, source: str) -> "FamilyModule":
        """Find a module by its path, relative to this folder, or by its importable name.

        Raises:
            SpaceError: If there is none.
        """
        source = str(Path(source).expanduser().absolute()) if _is_path(source) else source
        path = locate_module(source)
        if path is None:
            raise SpaceError(
                f"Expected [space] modules to name files beside the study file, or modules that "
                f"Python can import. Received: {source}, which is not there."
            )
        return cls(source, _digest(path.read_bytes()))

    @property
    def is_loaded(self) -> bool:
        """Whether this process has run the module."""
        return any(known.sha256 == self.sha256 for known, _ in _loaded.values())

    def load(self) -> tuple[str, ...]:
        """Run the module, once per process, and return the families that it registers.

        Raises:
            SpaceError: If it is missing, has another SHA-256, cannot be run, or registers no
                family or one whose name is taken.
        """
        for known, families in _loaded.values():
            if known.sha256 == self.sha256:
                return families
        path, text = self._read()
        if self.source in _loaded:
            unregister_families(_loaded[self.source][1])
        before = family_names()
        try:
            module = self._run(path, text)
        except (Exception, SystemExit) as error:  # Whatever a user's module may raise.
            unregister_families(set(family_names()) - set(before))
            _loaded.pop(self.source, None)
            raise SpaceError(
                f"Cannot load {self.source} of [space] modules: {_describe(error)}"
            ) from error
        families = _families_of(module)
        if not families:
            raise SpaceError(f"Expected {self.source} to register a family. Received: none.")
        _loaded[self.source] = (self, families)
        return families

    def _read(self) -> tuple[Path, bytes]:
        """Return the path and the content of the module's file."""
        path = locate_module(self.source)
        if path is None:
            raise SpaceError(
                f"The study's module {self.source} (SHA-256 {self.sha256[:12]}...) is not on this "
                "machine. Put the same file there, or into the folder that the worker starts in."
            )
        text = path.read_bytes()
        if (found := _digest(text)) != self.sha256:
            raise SpaceError(
                f"{path} is not the module of the study: its SHA-256 begins with {found[:12]}, "
                f"the study's with {self.sha256[:12]}. Bring that one back, or name a new study."
            )
        return path, text

    def _run(self, path: Path, text: bytes) -> ModuleType:
        if not _is_path(self.source):
            if self.source in sys.modules and self.source in _loaded:
                return importlib.reload(sys.modules[self.source])
            return importlib.import_module(self.source)
        # Run exactly what was hashed: an import could use bytecode of earlier content.
        name = f"convsearch_user_{path.stem}_{self.sha256[:8]}"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # Dataclasses look their module up.
        try:
            exec(compile(text, str(path), "exec"), module.__dict__)
        except BaseException:
            del sys.modules[name]
            raise
        return module


def module_of(family: str) -> str | None:
    """Return the source of the user's module that registered a family, or None."""
    for source, (_, families) in _loaded.items():
        if family in families:
            return source
    return None


def choose_families(wanted: Sequence[str], own: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a study's families; `all` means the built-in ones and its `own`.

    Raises:
        SpaceError: If a family is unknown, or was registered in this process alone.
    """
    for name in wanted:
        if name == ALL or is_builtin(name) or name in own:
            continue
        raise SpaceError(
            f"Expected the module of every family in [space] modules, since each worker has to "
            f"load it. Received: `{name}`, which `{_defining_module(name)}` registers."
        )
    if ALL not in wanted:
        return tuple(wanted)
    return (*filter(is_builtin, family_names()), *own)


def parameters_of(family: str) -> dict[str, Domain]:
    """Return the domains of a family's own parameters, by name.

    Raises:
        SpaceError: If there is no such family, or its `parameters` raises or returns no domains.
    """
    found = find_family(family)
    with _errors_name_family(family, "parameters"):
        parameters = dict(found.parameters())
        for name, domain in parameters.items():
            if not isinstance(domain, Domain):
                raise TypeError(f"expected the domain of `{name}`. Received: {domain!r}.")
    return parameters


def known_good_of(family: str) -> list[dict[str, Value]]:
    """Return parameters of a family's networks that train well, best first.

    Raises:
        SpaceError: If there is no such family, or its `known_good` raises or leaves the domains.
    """
    found = find_family(family)
    with _errors_name_family(family, "known_good"):
        configs = [dict(parameters) for parameters in found.known_good()]
    domains = parameters_of(family) | common_parameters()
    for name, value in (item for config in configs for item in config.items()):
        if name not in domains or not contains(domains[name], value):
            raise SpaceError(
                f"Cannot use the family `{family}` of "
                f"{module_of(family) or _defining_module(family)}: its "
                f"`known_good` has {name} = {show(value)}, but the parameter "
                f"{f'takes {domains[name]}' if name in domains else 'does not exist'}."
            )
    return configs


@contextmanager
def _errors_name_family(family: str, method: str) -> Iterator[None]:
    """Name the family and its method in any error that its code raises."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise SpaceError(
            f"Cannot use the family `{family}` of "
            f"{module_of(family) or _defining_module(family)}: its "
            f"`{method}` raised {_describe(error)}"
        ) from error


def _defining_module(family: str) -> str:
    return type(find_family(family)).__module__


def _is_path(source: str) -> bool:
    return source.endswith(".py") or "/" in source or "\\" in source


def locate_module(source: str) -> Path | None:
    """Return a module's file, at its path or with its name in this folder; None if missing."""
    if _is_path(source):
        places = (Path(source), Path.cwd() / Path(source).name)
        return next((place for place in places if place.is_file()), None)
    try:
        spec = importlib.util.find_spec(source)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


def _families_of(module: ModuleType) -> tuple[str, ...]:
    names = family_names()
    return tuple(name for name in names if _defining_module(name) == module.__name__)


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _describe(error: BaseException) -> str:
    return str(error) if isinstance(error, SpaceError) else f"{type(error).__name__}: {error}"

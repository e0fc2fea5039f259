"""What a family defines, and the registry of families by name."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, Literal

from spaces.errors import SpaceError
from spaces.models.layers import Network
from spaces.network_settings import Head
from spaces.parameters.domain_types import Domain, Value
from spaces.parameters.suggestion import Draw
from spaces.wording import did_you_mean

ImageSetName = Literal["scratch", "transfer"]

_families: dict[str, "Family"] = {}


class Family(ABC):
    """One kind of architecture: its parameters, how they are drawn, and known-good values.

    `network` is the frozen dataclass that `suggest` returns. Parameters shared by all families
    (`spaces.parameters.head_and_optimizer`) are not listed again.
    """

    network: ClassVar[type[Network]]
    n_phases: ClassVar[int] = 1
    """Phases of training, each of up to the maximum number of epochs."""
    image_set: ClassVar[ImageSetName] = "scratch"
    """Which of a study's prepared images the family trains on."""
    position: ClassVar[int] = 100
    """Order of built-in families in legends and in the default space."""
    is_default: ClassVar[bool] = True
    """Whether a study that names no families searches it."""

    @abstractmethod
    def parameters(self) -> dict[str, Domain]:
        """Return the domains of the family's own parameters, by name."""

    @abstractmethod
    def suggest(self, draw: Draw) -> Network:
        """Draw a network of this family."""

    def unused(self, head: Head) -> Mapping[str, Value]:
        """Return shared parameters that have no effect with this head, with their fixed values."""
        return {}

    @abstractmethod
    def known_good(self) -> Sequence[Mapping[str, Value]]:
        """Return parameters of four to six networks that train well, best first."""


def register_family(name: str) -> Callable[[type[Family]], type[Family]]:
    """Register the decorated class as the family of a name.

    Raises:
        SpaceError: If the name is taken.
    """

    def register(family: type[Family]) -> type[Family]:
        if name in _families:
            raise SpaceError(f"Expected a new family name. Received: `{name}`, which is taken.")
        _families[name] = family()
        return family

    return register


def unregister_families(names: Iterable[str]) -> None:
    """Unregister the families of a user's module that is broken or has changed."""
    for name in names:
        _families.pop(name, None)


def find_family(name: str) -> Family:
    """Return the family of a name.

    Raises:
        SpaceError: If there is none; the message lists the known ones.
    """
    if name not in _families:
        known = ", ".join(family_names())
        raise SpaceError(f"Expected a known family: {known}. Received: `{name}`{_hint(name)}")
    return _families[name]


def _hint(name: str) -> str:
    if "," in name:
        return '; several are a list, as ["plain", "vgg"].'
    near = did_you_mean(name, family_names())
    return f"; {near}" if near else "."


def family_names() -> tuple[str, ...]:
    """Return the names of all registered families, sorted."""
    return tuple(sorted(_families))


def is_builtin(name: str) -> bool:
    """Whether a family is part of this package."""
    return type(find_family(name)).__module__.startswith("spaces.")


def builtin_families() -> tuple[str, ...]:
    """Return the names of the package's own families, in order of `position`."""
    names = filter(is_builtin, family_names())
    return tuple(sorted(names, key=lambda name: (find_family(name).position, name)))


def default_families() -> tuple[str, ...]:
    """Return the families that a study searches if it names none, in order."""
    return tuple(name for name in builtin_families() if find_family(name).is_default)

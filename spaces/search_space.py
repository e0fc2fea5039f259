"""The search space of a study: its families, and the domains of their parameters."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from spaces.config import Config
from spaces.cost.limits import Limits, check_some_fit
from spaces.errors import SpaceError
from spaces.families import find_family
from spaces.parameters.domain_types import (
    Choices,
    Domain,
    Trial,
    Value,
    domain_from_json,
    domain_to_json,
)
from spaces.parameters.head_and_optimizer import (
    common_parameters,
    suggest_head,
    suggest_layer_settings,
    suggest_optimizer,
)
from spaces.parameters.narrowing import narrow_domains, narrowing_value
from spaces.parameters.stub_trials import (
    EnumeratingTrial,
    PreferredTrial,
    RandomTrial,
    UncountableSpaceError,
)
from spaces.parameters.suggestion import Draw
from spaces.user_families import known_good_of, parameters_of

N_RANDOM_SAMPLES = 256
NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """What a study draws from: equal spaces draw equal configs from equal trials."""

    families: tuple[str, ...]
    domains: Mapping[str, Domain] = field(hash=False)

    @classmethod
    def create(
        cls, families: Sequence[str], narrowed: Mapping[str, object] | None = None
    ) -> "SearchSpace":
        """Create the space of some families, narrowed by the `[space]` table of a study file.

        Raises:
            SpaceError: If a family is unknown, or the table does not narrow the space.
        """
        names = tuple(dict.fromkeys(families))
        if not names:
            raise SpaceError("Expected at least one family. Received: none.")
        return cls(names, narrow_domains(_all_parameters(names), narrowed or {}))

    def suggest(self, trial: Trial) -> Config:
        """Draw a config; parameters fixed to one value are not suggested."""
        draw = Draw(trial, {"family": Choices(self.families), **self.domains})
        name = draw.one_of("family", self.families)
        family = find_family(name)
        network, head = family.suggest(draw), suggest_head(draw)
        draw = draw.fixed(family.unused(head))
        return Config(
            family=name,
            network=network,
            head=head,
            layers=suggest_layer_settings(draw),
            optimizer=suggest_optimizer(draw),
            batch_size=draw.integer("batch_size"),
            augmentation=draw.flag("augmentation"),
        )

    def random_config(self, rng: random.Random) -> Config:
        """Draw a config uniformly from every domain."""
        return self.suggest(RandomTrial(rng))

    @property
    def image_sets(self) -> tuple[str, ...]:
        """The prepared sets of images that the families train on."""
        return tuple(dict.fromkeys(find_family(name).image_set for name in self.families))

    def of_image_set(self, image_set: str) -> "SearchSpace":
        """Return the part of the space whose families train on one set of images."""
        names = [name for name in self.families if find_family(name).image_set == image_set]
        return replace(self, families=tuple(names))

    def with_only(self, family: str, **values: Value) -> "SearchSpace":
        """Return the part of the space with one family and some parameters fixed."""
        fixed = {name: Choices((value,)) for name, value in values.items()}
        return SearchSpace((family,), {**self.domains, **fixed})

    def choices(self, name: str) -> tuple[Value, ...]:
        """Return the choices of a parameter; empty if it is unknown or a range."""
        domain = self.domains.get(name)
        return domain.values if isinstance(domain, Choices) else ()

    @property
    def n_phases(self) -> int:
        """The largest number of training phases of any family."""
        return max(find_family(family).n_phases for family in self.families)

    def known_good(self, n_each: int | None = None) -> list[dict[str, Value]]:
        """Return parameters of networks that train well, moved into the narrowed space.

        A study enqueues them before it samples; fixed parameters are left out. The best of each
        family come first, then the second best, up to `n_each` per family.
        """
        by_family = [self._known_good_of(family)[:n_each] for family in self.families]
        places = range(max(map(len, by_family)))
        return [found[place] for place in places for found in by_family if place < len(found)]

    def _known_good_of(self, family: str) -> list[dict[str, Value]]:
        found: list[dict[str, Value]] = []
        for preferred in known_good_of(family):
            trial = PreferredTrial({"family": family, **preferred})
            if self._suggest_or_none(trial) is not None and trial.suggested not in found:
                found.append(trial.suggested)
        return found

    def _suggest_or_none(self, trial: Trial) -> Config | None:
        """Draw a config; None if a user's family raises, which the study's trials record."""
        try:
            return self.suggest(trial)
        except SpaceError:
            raise
        except (Exception, SystemExit):
            return None

    def check_image_shape(
        self, image_shape: tuple[int, int, int], n_classes: int, limits: Limits = NO_LIMITS
    ) -> None:
        """Refuse images that no known-good network, nor any of 256 random ones, can train on.

        Raises:
            SpaceError: If the images are too small for every network, or the limits too low.
        """
        check_some_fit(self._sample_configs(), image_shape, n_classes, limits)

    def count(self, limit: int = 10_000) -> int | None:
        """Count distinct configs; None if there are more than `limit`, or not finitely many."""
        keys: set[str] = set()
        prefix: list[int] | None = []
        while prefix is not None:
            trial = EnumeratingTrial(prefix)
            try:
                keys.add(self.suggest(trial).key())
            except UncountableSpaceError:
                return None
            except (Exception, SystemExit):  # A user's family is broken; its trials record it.
                return None
            if len(keys) > limit:
                return None
            prefix = trial.next_prefix()
        return len(keys)

    def differences(self, other: "SearchSpace") -> list[str]:
        """Describe each difference from another space in a sentence."""
        if self.families != other.families:
            there, here = ", ".join(other.families), ", ".join(self.families)
            return [f"families: {there} there, {here} here"]
        names = [*self.domains, *(name for name in other.domains if name not in self.domains)]
        return [
            f"`{name}`: {other.domains.get(name, 'absent')} there, "
            f"{self.domains.get(name, 'absent')} here"
            for name in names
            if self.domains.get(name) != other.domains.get(name)
        ]

    def to_table(self) -> dict[str, Any]:
        """Return the `[space]` table that narrows the families' parameters to this space."""
        full = _all_parameters(self.families)
        narrowed = {
            name: narrowing_value(domain)
            for name, domain in self.domains.items()
            if full.get(name) != domain
        }
        return {"families": list(self.families), **narrowed}

    def to_json(self) -> dict[str, Any]:
        """Return the space as a JSON object for `from_json`."""
        domains = {name: domain_to_json(domain) for name, domain in self.domains.items()}
        return {"families": list(self.families), "domains": domains}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "SearchSpace":
        """Read a space from a record of `to_json`.

        Raises:
            SpaceError: If the record is not one of a space, or a family is unknown.
        """
        try:
            families, domains = tuple(record["families"]), dict(record["domains"])
        except (KeyError, TypeError, ValueError) as error:
            raise SpaceError(f"Expected the record of a space. Received: {record!r}.") from error
        for family in families:
            find_family(family)
        return cls(families, {name: domain_from_json(it) for name, it in domains.items()})

    def _sample_configs(self) -> Iterator[Config]:
        rng = random.Random(0)
        trials: list[Trial] = [PreferredTrial(parameters) for parameters in self.known_good()]
        trials += [RandomTrial(rng) for _ in range(N_RANDOM_SAMPLES)]
        for trial in trials:
            config = self._suggest_or_none(trial)
            if config is not None:
                yield config


def _all_parameters(families: Sequence[str]) -> dict[str, Domain]:
    """Return the domains of the families' own parameters and of the shared ones."""
    common = common_parameters()
    domains: dict[str, Domain] = {}
    for family in families:
        for name, domain in parameters_of(family).items():
            if name in common:
                raise SpaceError(
                    f"Expected names of its own for the parameters of the family `{family}`. "
                    f"Received: `{name}`, which all families share."
                )
            if domains.setdefault(name, domain) != domain:
                raise SpaceError(
                    f"Expected families to agree on a parameter they share. Received: `{name}` "
                    f"of {domains[name]} and, in `{family}`, of {domain}."
                )
    return domains | common

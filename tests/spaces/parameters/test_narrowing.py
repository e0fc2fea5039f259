"""How a `[space]` table narrows parameters, and the errors if it does not."""

import pytest

from spaces import SearchSpace, SpaceError
from spaces.parameters.domain_types import Choices, Domain, FloatRange, IntRange
from spaces.parameters.narrowing import narrow

OPTIMIZERS = Choices(("adam", "sgd", "rmsprop"))
KERNELS = IntRange(3, 6)
RATES = FloatRange(1e-4, 1e-2, log=True)


@pytest.mark.parametrize(
    ("domain", "wanted", "expected"),
    [
        (OPTIMIZERS, "sgd", Choices(("sgd",))),
        (OPTIMIZERS, ["sgd", "adam", "sgd"], Choices(("sgd", "adam"))),
        (Choices((True, False)), False, Choices((False,))),
        (KERNELS, 5, Choices((5,))),
        (KERNELS, [3, 5], Choices((3, 5))),
        (KERNELS, {"low": 4}, IntRange(4, 6)),
        (KERNELS, {"low": 4, "high": 5}, IntRange(4, 5)),
        (RATES, {"high": 1e-3}, FloatRange(1e-4, 1e-3, log=True)),
        (RATES, 0.002, Choices((0.002,))),
        (FloatRange(0.0, 0.6), 0, Choices((0.0,))),
    ],
)
def test_parameter_is_narrowed_by_a_value_a_list_or_a_range(
    domain: Domain, wanted: object, expected: Domain
) -> None:
    assert narrow(domain, "x", wanted) == expected


def test_integer_for_a_float_becomes_a_float() -> None:
    assert isinstance(narrow(FloatRange(0.0, 1.0), "x", 0).first, float)


@pytest.mark.parametrize(
    ("domain", "wanted", "message"),
    [
        (OPTIMIZERS, "adamm", r'values from adam, sgd, rmsprop. Received: "adamm"'),
        (OPTIMIZERS, ["adam", "lion"], r'Received: "lion"'),
        (OPTIMIZERS, {"low": 1}, r"one value or a list from .* Received: {low = 1}"),
        (OPTIMIZERS, [], r"at least one value. Received: \[\]"),
        (Choices((True, False)), 1, r"values from true, false. Received: 1"),
        (Choices((1, 2)), True, r"Received: true"),
        (KERNELS, 7, r"whole numbers within 3–6. Received: 7"),
        (KERNELS, "5", r'whole numbers within 3–6. Received: "5"'),
        (KERNELS, 4.0, r"whole numbers within 3–6. Received: 4"),
        (KERNELS, True, r"Received: true"),
        (KERNELS, [4, 9], r"Received: 9"),
        (KERNELS, {"low": 6, "high": 4}, r"`low` is not above its `high`"),
        (KERNELS, {}, r"a table of `low`, `high` or both"),
        (KERNELS, {"min": 3}, r"a table of `low`, `high` or both. Received: {min = 3}"),
        (IntRange(8, 64, step=8), 12, r"whole numbers within 8–64 by 8. Received: 12"),
        (RATES, {"low": 1e-5}, r"numbers within 0.0001–0.01. Received: 1e-05"),
        (RATES, float("nan"), r"Received: nan"),
    ],
)
def test_values_that_do_not_narrow_are_refused(
    domain: Domain, wanted: object, message: str
) -> None:
    with pytest.raises(SpaceError, match=message) as caught:
        narrow(domain, "some_key", wanted)
    assert "`some_key` in [space]" in str(caught.value)


def test_unknown_key_names_the_nearest_one() -> None:
    with pytest.raises(SpaceError, match=r"\[space\].*`lerning_rate`; did you mean `learning_r"):
        SearchSpace.create(["plain"], {"lerning_rate": 0.1})


def test_key_unlike_any_other_lists_the_known_ones() -> None:
    with pytest.raises(SpaceError, match="`zzz`; known: activation, adam_beta_1, "):
        SearchSpace.create(["plain"], {"zzz": 0.1})


def test_shared_key_narrows_every_stage_and_the_numbered_one_wins() -> None:
    space = SearchSpace.create(["plain"], {"stage2_channels": 64, "channels": [16, 32]})
    assert space.domains["stage1_channels"] == Choices((16, 32))
    assert space.domains["stage2_channels"] == Choices((64,))
    assert space.domains["stage5_channels"] == Choices((16, 32))


@pytest.mark.parametrize("key", ["convs", "channels", "kernel_size", "pool", "pool_size", "units"])
def test_shared_keys_are_known(key: str) -> None:
    value = {"pool": True, "pool_size": 2, "convs": 2, "kernel_size": 4}.get(key, 64)
    space = SearchSpace.create(["plain"], {key: value})
    numbered = [name for name in space.domains if name.endswith(f"1_{key}")]
    assert [space.domains[name] for name in numbered] == [Choices((value,))]

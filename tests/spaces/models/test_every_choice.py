"""Every choice of every parameter is built and trained for a step, in few networks."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from spaces import Config, SearchSpace, SpaceError, predict_cost
from spaces.families import builtin_families
from spaces.keras_models import build_model, build_optimizer
from spaces.models.backbones import find_backbone
from spaces.parameters.domain_types import Choices, Domain, FloatRange, Value
from spaces.parameters.stub_trials import PreferredTrial
from tests.spaces.models.backbones.conftest import smallest_of_each_architecture

SHAPE = (32, 32, 1)
N_CLASSES = 3
N_CANDIDATES = 300
MAX_OPERATIONS = 20e9  # Of one training step: about a second on one thread.
FEW = 6  # A range of at most so many integers is covered completely.
FAMILIES = builtin_families()
CHUNK = 8
ARCHITECTURES = smallest_of_each_architecture()
BACKBONE = "mobilenet"  # Others are trained below.

Pair = tuple[str, Value]


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_choice_of_every_parameter_trains_for_a_step(family: str) -> None:
    import keras

    narrowed = {"backbone": BACKBONE} if family == "transfer" else {}
    space = SearchSpace.create([family], narrowed)
    wanted = {pair for pair in all_pairs(space) if is_drawn(family, pair)}
    trained: set[Pair] = set()
    for parameters in covering_set(space, wanted):
        keras.utils.clear_session()
        # Graphs take longer than their step; one family has the choices that all have.
        train_for_a_step(space.suggest(PreferredTrial(parameters)), as_graph=family == "plain")
        trained |= set(parameters.items())
    assert wanted <= trained


def is_drawn(family: str, pair: Pair) -> bool:
    """Return whether a family draws a parameter: a head on one backbone has no normalization."""
    return not (family == "transfer" and pair[0] in {"backbone", "batch_normalization"})


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("first", range(0, len(ARCHITECTURES), CHUNK))
def test_every_architecture_of_backbones_trains_for_a_step(first: int) -> None:
    """A few in each process: TensorFlow does not free all memory of large networks."""
    names = ARCHITECTURES[first : first + CHUNK]
    command = [sys.executable, __file__, *names]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == names


def train_backbone_for_a_step(backbone: str) -> None:
    side = max(32, find_backbone(backbone).min_size)
    fixed = {"backbone": backbone, "unfrozen_layers": 3, "batch_size": 16, "dense_layers": 0}
    config = SearchSpace.create(["transfer"], fixed).random_config(random.Random(0))
    train_for_a_step(config, (side, side, 1), n_images=2, as_graph=True)


def all_pairs(space: SearchSpace) -> Iterator[Pair]:
    """Return each parameter with each value that must be trained."""
    for name, domain in space.domains.items():
        for value in values_to_cover(domain):
            yield name, value


def values_to_cover(domain: Domain) -> list[Value]:
    """Return all choices, all of a few integers, or the ends and the middle of a range."""
    if isinstance(domain, Choices):
        return list(domain.values)
    if not isinstance(domain, FloatRange) and domain.high - domain.low < FEW:
        return list(range(domain.low, domain.high + 1))
    middle = PreferredTrial({})
    return [domain.low, domain.suggest(middle, "middle"), domain.high]


def covering_set(space: SearchSpace, wanted: set[Pair]) -> list[Mapping[str, Value]]:
    """Return parameters of few networks that together have every pair, chosen greedily.

    Of networks that have equally many of the missing pairs, one with few parameters is chosen,
    which has few layers.
    """
    rng = random.Random(0)
    missing, chosen = set(wanted), []

    def gain(values: Mapping[str, Value]) -> tuple[int, int]:
        return len(missing & set(values.items())), -len(values)

    while missing:
        best = max(candidates(space, missing, rng), key=gain)
        assert missing & set(best.items()), f"no trainable network has any of {missing}"
        chosen.append(best)
        missing -= set(best.items())
    return chosen


def candidates(
    space: SearchSpace, missing: set[Pair], rng: random.Random
) -> Iterator[dict[str, Value]]:
    """Draw parameters of trainable networks with many of the missing pairs."""
    pairs = sorted(missing, key=str)
    for _ in range(N_CANDIDATES):
        values = {name: rng.choice(values_to_cover(it)) for name, it in space.domains.items()}
        trial = PreferredTrial(values | dict(rng.sample(pairs, len(pairs))))
        if fits(space.suggest(trial)):
            yield trial.suggested


def fits(config: Config) -> bool:
    try:
        cost = predict_cost(config, SHAPE, N_CLASSES)
    except SpaceError:
        return False
    return cost.operations * 3 * config.batch_size < MAX_OPERATIONS and cost.parameters < 10**7


def train_for_a_step(
    config: Config,
    shape: tuple[int, int, int] = SHAPE,
    n_images: int | None = None,
    *,
    as_graph: bool = False,
) -> None:
    n_images = n_images or config.batch_size
    model = build_model(config, shape, N_CLASSES, seed=0, mean=[100.0], std=[50.0])
    optimizer = build_optimizer(config)
    # Keras' sum over replicas never frees a network's graph: gigabytes over all backbones.
    optimizer._all_reduce_sum_gradients = lambda pairs: pairs
    loss_name = "sparse_categorical_crossentropy"
    model.compile(optimizer, loss_name, jit_compile=False, run_eagerly=not as_graph)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n_images, *shape)).astype("float32")
    last = model.get_layer("probabilities")
    before = last.get_weights()
    loss = model.train_on_batch(images, rng.integers(0, N_CLASSES, n_images))
    assert np.isfinite(loss), config
    # Random weights without normalization may leave features too small to move the kernel.
    assert any((now != then).any() for now, then in zip(last.get_weights(), before, strict=True))


@pytest.mark.parametrize("name", ["stage1_kernel_size", "stages", "optimizer", "dropout"])
def test_values_to_cover_reach_both_ends(plain_space: SearchSpace, name: str) -> None:
    domain = plain_space.domains[name]
    values = values_to_cover(domain)
    ends = domain.values if isinstance(domain, Choices) else (domain.low, domain.high)
    assert set(ends) <= set(values)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        train_backbone_for_a_step(name)
        print(name)

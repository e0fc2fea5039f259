"""What checkpoints cost a trial: the same trials without them, in a folder, and in the database.

Random networks of the default space are trained one after the other by one warm trainer, each in
all three ways, in turn and several times. The time of a trial ends with the trainer's last
message. The processor time is that of trainer and worker together and includes uploads to the
database; it is the better measure where others use the machine.

    python tests/benchmarks/checkpoint_cost.py [--networks 4] [--epochs 2] [--runs 3]
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import psutil
from fixed_trials import DEFAULT_SOURCE
from postgres_server import new_server

from search.artifacts import Artifacts
from search.settings.plan import StudyPlan
from search.strategy.seeds import TRAINING, derive_seed
from search.studies.open_study import OpenStudy
from search.studies.resolved_plan import resolve_plan
from search.studies.submission import submit
from search.trainer.process import Trainer, TrainerGoneError
from search.trainer.protocol import Epoch, Failed, Finished, Task, Unfit
from spaces import Config, predict_cost

WAYS = ("none", "folder", "database")
MB = 2**20


def open_study(folder: Path, url: str, source: Path) -> OpenStudy:
    """Make a study of the default space on 64-pixel images, with artifacts in the database."""
    plan = StudyPlan.model_validate(
        {
            "study": {"name": "cost", "workers": 1},
            "data": {"source": str(source), "image_size": 64},
            "store": {"url": url},
        }
    )
    submission = submit(resolve_plan(plan))
    return OpenStudy.load(submission.store, "cost")


def draw_configs(opened: OpenStudy, n: int, seed: int) -> list[Config]:
    """Draw configs within the limits of the study."""
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


def train(
    trainer: Trainer, task: Task, artifacts: Artifacts | None, number: int
) -> tuple[float, float]:
    """Train a trial, upload its checkpoints, and return its seconds and its processor seconds."""
    used = cpu_seconds(trainer)
    started = time.perf_counter()
    trainer.send(task)
    while True:
        match trainer.receive(600.0):
            case Epoch(_, save_error):
                assert not save_error, save_error
                if artifacts is not None:
                    artifacts.upload(number, 0)
                trainer.send("go_on")
            case Finished() | Unfit():
                seconds = time.perf_counter() - started
                break
            case Failed(reason):
                raise RuntimeError(reason)
    if artifacts is not None:
        artifacts.transfer.wait(600.0)
    return seconds, cpu_seconds(trainer) - used


def cpu_seconds(trainer: Trainer) -> float:
    """Return the processor time that trainer and worker have used so far."""
    times = psutil.Process(trainer.pid).cpu_times()
    return times.user + times.system + time.process_time()


def main() -> None:
    """Train all networks in all ways, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--source", type=Path, default=DEFAULT_SOURCE)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with new_server() as server:
            opened = open_study(folder, server.socket_url("postgres"), options.source)
            measure(opened, options, folder)


def measure(opened: OpenStudy, options: argparse.Namespace, folder: Path) -> None:
    """Train each network in all ways; the one-off start of TensorFlow is not counted."""
    totals = {way: [0.0, 0.0] for way in WAYS}
    for number, config in enumerate(draw_configs(opened, options.networks, options.seed)):
        trainer = Trainer(n_threads=1)
        try:
            train(trainer, make_task(opened, config, number, 1), None, number)
            found = train_in_all_ways(trainer, opened, config, number, options, folder)
        except TrainerGoneError:
            print(f"{config.family}: left out, TensorFlow crashed: {config.to_json()}")
            continue
        finally:
            trainer.close()
        size_mb = (folder / f"{number}.safetensors").stat().st_size / MB
        print(
            f"{config.family}: {found['none'][0] / options.epochs:.1f} s an epoch without, "
            f"checkpoint {size_mb:.1f} MB; {ratios(found)}",
            flush=True,
        )
        for way in WAYS:
            totals[way] = [sum(pair) for pair in zip(totals[way], found[way], strict=True)]
    print(f"all: {ratios(totals)} (target: at most 1.03)")


def ratios(found: Mapping[str, Sequence[float]]) -> str:
    """Return as text how much longer each way took than training without checkpoints."""
    return "; ".join(
        f"{way} / none: {found[way][0] / found['none'][0]:.3f} in time, "
        f"{found[way][1] / found['none'][1]:.3f} in processor time"
        for way in WAYS[1:]
    )


def train_in_all_ways(
    trainer: Trainer,
    opened: OpenStudy,
    config: Config,
    number: int,
    options: argparse.Namespace,
    folder: Path,
) -> dict[str, list[float]]:
    """Return the median seconds and processor seconds of a trial for each way."""
    measured: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    places = {
        "none": "",
        "folder": str(folder / f"{number}.safetensors"),
        "database": str(opened.artifacts.checkpoint(number, 0)),
    }
    for turn in range(len(WAYS) * options.runs):
        way = WAYS[(turn + turn // len(WAYS)) % len(WAYS)]  # Rotate the order.
        task = make_task(opened, config, number, options.epochs)
        for place in places.values():
            Path(place or folder / "none").unlink(missing_ok=True)  # Or training resumes.
        artifacts = opened.artifacts if way == "database" else None
        task = replace(task, checkpoint=places[way])
        measured[way].append(train(trainer, task, artifacts, number))
    return {way: list(map(statistics.median, zip(*measured[way], strict=True))) for way in WAYS}


if __name__ == "__main__":
    main()

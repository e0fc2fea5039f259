"""Record learning curves of networks of all families, for replays of search strategies.

    python -m tests.benchmarks.curve_bank.record FOLDER [--minutes 60] [--processes 2]

Each line of `curves.jsonl`, beside this file, is one training by the rules of a search, to its
end or to where early stopping ended it: the set, the size of its images, the family, the seed of
the training, the parameters, and for each epoch the number of correct validation images, the loss
on validation, and seconds of processor time on one thread. A training that is in the file is not
done again, so the recording can be stopped at any time and goes on later. FOLDER holds the
prepared images between runs.

Networks are numbered from 0: the family's known-good ones come first, and random ones after them.
Every network is trained from two seeds. All sets and families advance together, so the file is
balanced wherever the recording ends. Large images come last, and only every sixth network.
"""

import argparse
import json
import os
import random
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from search.machine.gpus import CPU
from search.settings.plan import StudyPlan
from search.studies.open_study import OpenStudy
from search.studies.training_task import make_task
from search.trainer.process import trainer_environment
from spaces import Config, SpaceError, predict_cost
from spaces.families import default_families
from spaces.parameters.stub_trials import PreferredTrial, RandomTrial
from storage import Store
from tests.benchmarks.fixed_trials import ROOT, make_empty_study

if TYPE_CHECKING:
    from search.trainer.protocol import Task

CURVES = Path(__file__).with_name("curves.jsonl")
SHARED = ROOT.parent / "shared"
WEIGHTS = SHARED / "weights" / "mobilenet_v2_imagenet_notop.weights.h5"
BACKBONE = "mobilenet_v2"
PATCH_SIDE, PATCHES_PER_IMAGE = 40, 12
"""Squares of the 180 images of `mednist_mini`, which are too few by themselves."""
SIZES = (32, 64)
TRANSFER_SIZE = 96
LARGE_SHARE = 6
"""Only so many networks are trained on large images, which take four times as long."""
SEEDS = (0, 1)
MAX_OPERATIONS = 150.0
"""In millions: the limit of a search at 32 pixels, at all sizes."""
N_TRIES = 1_000


class Training(NamedTuple):
    """A training that is to be recorded; it is known by all of these."""

    set_name: str
    size: int
    family: str
    number: int
    seed: int


def trainings(n_networks: int) -> Iterator[Training]:
    """Yield all trainings: of small images first, of networks with lower numbers first."""
    families = default_families()
    for size, step in zip(SIZES, (1, LARGE_SHARE), strict=True):
        for number in range(0, n_networks, step):
            for set_name in ("brainmri", "malaria", "mednist", "demo"):
                for seed in SEEDS:
                    for family in families:
                        yield Training(set_name, size, family, number, seed)
                    if size == SIZES[0]:
                        yield Training(set_name, TRANSFER_SIZE, "transfer", number, seed)


def sources(folder: Path) -> dict[str, str]:
    """Return the sources by name, after making the one of patches."""
    patches = folder / "patches.npz"
    if not patches.is_file():
        make_patches(patches)
    data = SHARED / "data"
    return {
        "brainmri": str(data / "brainmri_64.npz"),
        "malaria": str(data / "malaria_50.npz"),
        "mednist": str(patches),
        "demo": "demo",
    }


def make_patches(path: Path) -> None:
    """Cut squares from random places of the images; those of an image stay in one split."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    arrays: dict[str, list[Any]] = {}
    folders = sorted(it for it in (SHARED / "data" / "mednist_mini").iterdir() if it.is_dir())
    for label, folder in enumerate(folders):
        for place, file in enumerate(sorted(folder.iterdir())):
            split = ("val", "test", *["train"] * 5)[place % 7]
            pixels = np.asarray(Image.open(file).convert("L"))
            for _ in range(PATCHES_PER_IMAGE):
                top, left = (rng.integers(0, n - PATCH_SIDE + 1) for n in pixels.shape)
                patch = pixels[top : top + PATCH_SIDE, left : left + PATCH_SIDE]
                arrays.setdefault(f"{split}_images", []).append(patch)
                arrays.setdefault(f"{split}_labels", []).append([label])
    np.savez(path, **{name: np.array(found, np.uint8) for name, found in arrays.items()})


def open_studies(folder: Path) -> dict[tuple[str, int], OpenStudy]:
    """Return a study for each set and size; they prepare the images, and nothing else."""
    found = {}
    for set_name, source in sources(folder).items():
        for size in (*SIZES, TRANSFER_SIZE):
            tables: dict[str, dict[str, Any]] = {
                "study": {"name": f"{set_name}-{size}", "workers": 1},
                "data": {"source": source},
                "store": {"url": f"sqlite:///{folder / f'{set_name}-{size}.db'}"},
            }
            if size == TRANSFER_SIZE:
                tables["space"] = {"families": ["transfer"], "backbone": BACKBONE}
                tables["transfer"] = {"image_size": size, "weights": str(WEIGHTS)}
            else:
                tables["data"]["image_size"] = size
                tables["space"] = {"families": default_families()}
                tables["search"] = {"max_operations": MAX_OPERATIONS}
            found[set_name, size] = open_study(tables)
    return found


def open_study(tables: dict[str, dict[str, Any]]) -> OpenStudy:
    """Return an empty study, the one of an earlier recording if it is there."""
    plan = StudyPlan.model_validate(tables)
    if Path(str(tables["store"]["url"]).removeprefix("sqlite:///")).is_file():
        return OpenStudy.load(Store.open(tables["store"]["url"]), tables["study"]["name"])
    return make_empty_study(plan)


class RecordingTrial(RandomTrial):
    """Draws uniformly, and keeps what was drawn in `suggested`."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng)
        self.suggested: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.suggested[name] = super().suggest_categorical(name, choices)
        return self.suggested[name]

    def suggest_int(self, name: str, low: int, high: int, **kind: Any) -> int:
        self.suggested[name] = value = super().suggest_int(name, low, high, **kind)
        return value

    def suggest_float(self, name: str, low: float, high: float, **kind: Any) -> float:
        self.suggested[name] = value = super().suggest_float(name, low, high, **kind)
        return value


def draw_network(
    opened: OpenStudy, family: str, number: int
) -> tuple[Config, Mapping[str, Any]] | None:
    """Return a family's network by its number, with its parameters; None if it is too costly.

    A random network is the same at every size and on every set whose limits it fits.
    """
    space = opened.space.with_only(family)
    known = space.known_good()
    if number < len(known):
        preferred = PreferredTrial({"family": family, **known[number]})
        config = space.suggest(preferred)
        return (config, preferred.suggested) if fits(opened, config) else None
    rng = random.Random(f"{family} {number}")
    for _ in range(N_TRIES):
        trial = RecordingTrial(rng)
        config = space.suggest(trial)
        if fits(opened, config):
            return config, trial.suggested
    raise RuntimeError(f"No network of {family} fits the limits.")


def fits(opened: OpenStudy, config: Config) -> bool:
    """Whether a network is within the limits of a search."""
    data = opened.data_of(config.family)
    try:
        cost = predict_cost(config, data.image_shape, data.n_classes)
    except SpaceError:
        return False
    return opened.limits_of(config.family).excess(cost) is None


def start_process() -> None:
    """Load TensorFlow as a trainer does, and end when the recorder has ended, however that was."""
    from search.training.main import load_tensorflow

    Thread(target=end_after, args=(os.getppid(),), daemon=True).start()
    load_tensorflow()


def end_after(parent: int) -> None:
    """End this process when its parent has ended."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def record(task: "Task") -> dict[str, Any]:
    """Train to the end, and return the curve."""
    import gc

    import keras

    from search.data import PreparedSet
    from search.training.fit import Fit
    from search.training.phase import NotFiniteError

    data = PreparedSet.open(Path(task.data))
    n_val = len(data.labels("val"))
    fit = Fit(task, data)
    seconds, is_finite = [], True
    try:
        while fit.has_next_epoch:
            started = time.process_time()
            fit.run_epoch()
            seconds.append(round(time.process_time() - started, 2))
    except NotFiniteError:
        is_finite = False
    rows = fit.history
    curve = {
        "parameters": fit.model.count_params(),
        "memory_mb": round(max((row.memory_mb for row in rows), default=0)),
        "n_val": n_val,
        "is_finite": is_finite,
        "correct": [round(row.val_accuracy * n_val) for row in rows],
        "val_loss": [float(f"{row.val_loss:.4g}") for row in rows],
        "train_accuracy": [float(f"{row.train_accuracy:.4g}") for row in rows],
        "phase": [row.phase for row in rows],
        "seconds": seconds[: len(rows)],
    }
    del fit
    keras.backend.clear_session()
    gc.collect()
    return curve


def read_trainings(path: Path) -> set[Training]:
    """Return the trainings in a file."""
    if not path.is_file():
        return set()
    records = map(json.loads, path.read_text().splitlines())
    return {Training(*(record[name] for name in Training._fields)) for record in records}


def main() -> None:
    """Record what is not in the file yet, until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--networks", type=int, default=12)
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    folder = options.folder.resolve()
    folder.mkdir(exist_ok=True)
    os.environ |= {**trainer_environment(n_threads=1), **CPU.environment}
    os.environ["CONVSEARCH_CACHE"] = str(folder / "cache")
    studies = open_studies(folder)
    done, running = read_trainings(CURVES), dict[Future[dict[str, Any]], dict[str, Any]]()
    left = iter([it for it in trainings(options.networks) if it not in done])
    with (
        CURVES.open("a") as file,
        ProcessPoolExecutor(
            options.processes,
            mp_context=get_context("spawn"),
            initializer=start_process,
            max_tasks_per_child=20,
        ) as pool,
    ):
        while True:
            while len(running) < options.processes and time.monotonic() < end:
                training = next(left, None)
                if training is None:
                    break
                opened = studies[training.set_name, training.size]
                drawn = draw_network(opened, training.family, training.number)
                if drawn is not None:
                    config, params = drawn
                    task = make_task(opened, config, seed=training.seed)
                    running[pool.submit(record, task)] = {**training._asdict(), "params": params}
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                line = running.pop(future) | future.result()
                file.write(json.dumps(line, separators=(",", ":")) + "\n")
                file.flush()
                accuracy = max(line["correct"], default=0) / line["n_val"]
                where = " ".join(str(line[it]) for it in Training._fields)
                print(f"{where}: {accuracy:.3f}, {sum(line['seconds']):.0f} s", flush=True)


if __name__ == "__main__":
    main()

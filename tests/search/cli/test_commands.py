"""The command line: exit codes, messages of one or two lines, only JSON on standard output."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import psutil
import pytest
from PIL import Image

from tests.tools.foreign_modules import write_foreign_modules

ROOT = Path(__file__).parents[3]
Call = Callable[..., tuple[int, str, str]]
TINY = ("--image-size", "16", "--families", "plain", "--trials", "2")
FEW_TINY = (*TINY, "--max-epochs", "2", "--workers", "1")


def spawn(*arguments: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "search", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


BAD_CALLS: dict[str, tuple[tuple[str, ...], str]] = {
    "no such source": (("run", "nowhere"), "No such file or folder: nowhere"),
    "no trials": (("run", "demo", "--trials", "0"), "--trials: expected 1 or more. Received: 0."),
    "no workers": (("run", "demo", "--workers", "0"), "--workers: expected 1 or more"),
    "words for workers": (("run", "demo", "--workers", "many"), "--workers: expected"),
    "negative timeout": (("run", "demo", "--timeout", "-5m"), "--timeout: expected more than 0"),
    "odd timeout": (("run", "demo", "--timeout", "soon"), "--timeout: Expected a duration"),
    "tiny images": (("run", "demo", "--image-size", "4"), "--image-size: expected 8 or more"),
    "no images": (("run", "demo", "--max-images", "0"), "--max-images: expected 1 or more"),
    "odd split": (("run", "demo", "--split", "0.5,0.5"), "--split: expected three fractions"),
    "split over one": (("run", "demo", "--split", "0.7,0.7,0.1"), "--split: Expected three"),
    "unknown family": (("run", "demo", "--families", "plane"), "Received: `plane`"),
    "unknown pruner": (("run", "demo", "--pruner", "medain"), "Received: 'medain'"),
    "unknown sampler": (("run", "demo", "--sampler", "tep"), "--sampler: expected 'tpe'"),
    "unknown language": (
        ("report", "x", "--out", "y", "--lang", "de"),
        "--lang: expected one of 'en', 'ru'. Received: de. (see convsearch report --help)",
    ),
    "few seeds": (("confirm", "x", "--seeds", "1"), "--seeds: expected 2 or more. Received: 1."),
    "odd number": (
        ("confirm", "x", "--top", "few"),
        "--top: expected a whole number. Received: few",
    ),
    "odd trial": (("reproduce", "x", "last"), "TRIAL: expected a whole number. Received: last"),
    "no folder": (("report", "x"), "Missing option '--out'. (see convsearch report --help)"),
    "unknown option": (("run", "demo", "--trails", "3"), "No such option: --trails"),
    "unknown command": (("rnu",), "No such command 'rnu'"),
    "missing source": (("run",), "Missing argument"),
    "unknown store": (("run", "demo", "--store", "mysql://u:pw@h/d"), "Received: mysql://u:***@"),
    "no such study file": (("run", "none.toml"), "Cannot read the study file none.toml"),
    "unknown study": (("data", "inspect", "nowhere"), "No such file or folder: nowhere"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_misuse_is_one_line_and_exit_code_2(
    call: Call, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = call(*arguments)
    assert code == 2
    assert out == ""
    assert message in err
    assert err.startswith("Error: ")
    assert len(err.strip().splitlines()) <= 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", [("rank", "x"), ("confirm", "x"), ("report", "x", "--out", "y")]
)
def test_missing_store_is_misuse(call: Call, command: tuple[str, ...]) -> None:
    code, out, err = call(*command)
    assert (code, out) == (2, "")
    assert "There is no store at convsearch.db" in err


def test_debug_shows_the_traceback(call: Call) -> None:
    assert "Traceback" in call("run", "nowhere", "--debug")[2]
    assert "Traceback" not in call("run", "nowhere")[2]


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['convsearch', '--help']\n"
        "from search.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as leaving: assert not leaving.code\n"
        "heavy = {'tensorflow', 'keras', 'optuna', 'sqlalchemy', 'pandas', 'numpy', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stderr.strip() == "[]"
    for command in ("demo", "run", "submit", "worker", "status", "rank", "data"):
        assert f" {command} " in done.stdout


def test_inspect_and_prepare_report_what_a_search_would_use(
    call: Call, blobs: Path, cache_folder: Path
) -> None:
    code, out, _ = call("data", "inspect", str(blobs))
    assert code == 0
    assert "96 grey images in 3 classes (npz), 16×16 pixels" in out
    summary = json.loads(call("data", "inspect", str(blobs), "--json")[1])
    assert summary["classes"] == ["0", "1", "2"]
    prepared = json.loads(call("data", "prepare", str(blobs), "--json")[1])
    assert prepared["image_shape"] == [32, 32, 1]
    assert sum(prepared["counts"].values()) == 96
    assert Path(prepared["path"]).parent == cache_folder


def test_options_of_a_manifest_reach_it(call: Call, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "x").mkdir()
    lines = ["a,b,c,d"]
    for i in range(12):
        pixels = rng.integers(0, 256, (16, 16), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "x" / f"{i}.png")
        lines.append(f"{i}.png,{'pq'[i % 2]},{i // 2},ok")
    (tmp_path / "m.csv").write_text("\n".join(lines))
    code, out, err = call(
        "data", "inspect", "m.csv", "--path-column", "a", "--label-column", "b",
        "--group-column", "c", "--where", "d=ok", "--root", "x", "--split", "0.4,0.3,0.3",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "12 grey images in 2 classes (manifest)" in out
    assert "Groups: 6, the largest of 2 images" in out
    assert "path from a, label from b, group from c" in out


def test_images_unlike_the_others_are_named_before_a_search(call: Call, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "scans" / name).mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "scans" / name / f"{number}.png")
    marked = Image.new("RGB", (16, 16), (255, 0, 0))
    marked.save(tmp_path / "scans" / "a" / "marked.png")
    message = "Note: 1 of 9 images has color, a/marked.png: it is made grey like the others"
    assert message in call("data", "inspect", "scans")[1]
    assert message in call("data", "prepare", "scans", *TINY[:2])[2]
    assert message in call("submit", "scans", *TINY)[2]  # `run` begins alike.
    assert "color" not in call("submit", "scans", *TINY, "--color", "grey", "--study", "grey")[2]


def test_prepare_says_why_a_source_cannot_be_used(call: Call, tmp_path: Path) -> None:
    np.savez(tmp_path / "odd.npz", pictures=np.zeros(3))
    code, out, err = call("data", "prepare", "odd.npz")
    assert (code, out) == (2, "")
    assert "pictures" in err


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The folder of a study that `run --json` has searched, and the output."""
    folder = tmp_path_factory.mktemp("searched")
    write_source(folder / "blobs.npz")
    write_foreign_modules(folder)
    process = spawn("run", "blobs.npz", *FEW_TINY, "--json", folder=folder,
                    CONVSEARCH_CACHE=str(folder / "cache"))  # fmt: skip
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return folder, out, err


def write_source(path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(96) % 3
    images = rng.integers(0, 80, (96, 16, 16), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[1 + 5 * label : 6 + 5 * label, 1:6] += 120
    np.savez(path, images=images, labels=labels)


def test_run_ends_with_the_ranking_as_json(searched: tuple[Path, str, str]) -> None:
    _, out, err = searched
    document = json.loads(out)
    assert len(document["trials"]) == 2
    assert {trial["state"] for trial in document["trials"]} == {"COMPLETE"}
    assert "[2/2] trial" in err
    assert "2 of 2 trials done" in err
    assert "\x1b[" not in out + err


def test_processes_of_a_run_import_nothing_from_the_current_folder(
    searched: tuple[Path, str, str],
) -> None:
    assert not (searched[0] / "foreign.txt").exists()


def test_cache_and_artifacts_of_a_run_are_private(searched: tuple[Path, str, str]) -> None:
    tops = [searched[0] / "cache", searched[0] / "convsearch_artifacts"]
    made = [*tops, *(path for top in tops for path in top.rglob("*"))]
    assert {path.suffix for path in made} >= {".safetensors", ".log"}
    assert [path for path in made if path.stat().st_mode & 0o077] == []


def test_rank_and_status_read_the_study(
    searched: tuple[Path, str, str], call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out, _ = searched
    store = ("--store", f"sqlite:///{folder}/convsearch.db")
    assert json.loads(call("rank", "blobs", *store, "--json")[1]) == json.loads(out)
    assert "trials by validation accuracy" in call("rank", "blobs", *store)[1]
    assert "complete" in call("rank", "blobs", *store, "--all")[1]
    monkeypatch.setenv("CONVSEARCH_STORE", store[1])
    status = json.loads(call("status", "blobs", "--json")[1])
    assert status["counts"]["complete"] == 2
    assert status["workers"] == []
    assert "2 of 2 trials done" in call("status", "blobs")[1]
    code, _, err = call("rank", "other")
    assert code == 2
    assert "There is no study 'other'" in err
    assert "Studies there: blobs." in err


def test_optuna_reads_the_same_values(searched: tuple[Path, str, str]) -> None:
    folder, out, _ = searched
    study = optuna.load_study(study_name="blobs", storage=f"sqlite:///{folder}/convsearch.db")
    ours = {trial["trial"]: trial["val_accuracy"] for trial in json.loads(out)["trials"]}
    theirs = {trial.number: trial.value for trial in study.trials if trial.number in ours}
    assert theirs == ours


def test_study_with_other_settings_is_refused_with_the_difference(
    searched: tuple[Path, str, str], call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, _ = searched
    monkeypatch.setenv("CONVSEARCH_CACHE", str(folder / "cache"))
    options = (*TINY, "--max-epochs", "3")
    store = ("--store", f"sqlite:///{folder}/convsearch.db")
    code, _, err = call("run", str(folder / "blobs.npz"), *options, *store)
    assert code == 2
    assert "`max_epochs`: 2 there, 3 here" in err


def trials_of(folder: Path) -> list[dict[str, Any]]:
    process = spawn("rank", "blobs", "--json", folder=folder)
    document = json.loads(process.communicate(timeout=60)[0])
    trials: list[dict[str, Any]] = document["trials"]
    return trials


def write_long_study(folder: Path) -> str:
    """Write a study file of two trials that train for seconds after their first epoch."""
    write_source(folder / "blobs.npz")
    (folder / "study.toml").write_text(
        "[study]\nname = 'blobs'\nworkers = 1\n"
        "[data]\nsource = 'blobs.npz'\nimage_size = 16\n[space]\nfamilies = ['plain']\n"
        "[training]\nmax_epochs = 60\npatience = 60\n"
        "[search]\nseed = 2\npruner = 'none'\n[budget]\ntrials = 2\n"
    )
    return "study.toml"


def worker_log(folder: Path) -> str:
    return (folder / "convsearch_artifacts" / "blobs" / "worker-0.log").read_text()


def wait_for_epoch(folder: Path, process: subprocess.Popen[str]) -> None:
    """Wait until some trial has trained an epoch."""
    import sqlite3

    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        if (folder / "convsearch.db").exists():
            with sqlite3.connect(folder / "convsearch.db", timeout=30) as connection:
                try:
                    if connection.execute("SELECT count(*) FROM convsearch_epochs").fetchone()[0]:
                        return
                except sqlite3.OperationalError:
                    pass
        time.sleep(0.2)
    pytest.fail("no epoch in two minutes")


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        *(pytest.param(it, marks=pytest.mark.slow) for it in (signal.SIGTERM, signal.SIGKILL)),
    ],
)
def test_interrupted_run_resumes_with_the_same_command(tmp_path: Path, number: int) -> None:
    command = ("run", write_long_study(tmp_path), "--json")
    cache = {"CONVSEARCH_CACHE": str(tmp_path / "cache")}
    first = spawn(*command, folder=tmp_path, **cache)
    wait_for_epoch(tmp_path, first)
    started = time.monotonic()
    first.send_signal(number)
    _, err = first.communicate(timeout=60)
    assert time.monotonic() - started < 25
    if number != signal.SIGKILL:
        assert first.returncode == 128 + number
        assert "Stopping: workers release their trials." in err
        assert "Interrupted: nothing is lost" in err
    second = spawn(*command, folder=tmp_path, **cache)
    out, err = second.communicate(timeout=300)
    assert second.returncode == 0, err
    assert "Resuming study" in err
    assert "resumes after epoch" in worker_log(tmp_path)
    trials = json.loads(out)["trials"]
    assert len(trials) == 2
    assert sorted(trial["trial"] for trial in trials) == [0, 1]


def test_version_is_shown(call: Call) -> None:
    code, out, _ = call("--version")
    assert code == 0
    assert out.startswith("convsearch ")


@pytest.mark.slow
def test_one_seed_gives_one_ranking(tmp_path: Path) -> None:
    """One worker, and enough trials for the sampler's model."""
    write_source(tmp_path / "blobs.npz")
    study = tmp_path / "study.toml"
    study.write_text(
        "[data]\nsource = 'blobs.npz'\nimage_size = 16\n"
        "[space]\nfamilies = ['plain']\nstages = [1, 2]\nconvs = 1\nchannels = {high = 16}\n"
        "dense_layers = 0\n"
        "[training]\nmax_epochs = 3\n[budget]\ntrials = 14\n[study]\nworkers = 1\n"
    )
    rankings = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        process = spawn(
            "run", "../study.toml", "--seed", "3", "--json", folder=tmp_path / name,
            CONVSEARCH_CACHE=str(tmp_path / "cache"),
        )  # fmt: skip
        out, err = process.communicate(timeout=500)
        assert process.returncode == 0, err
        document = json.loads(out)
        for trial in document["trials"]:
            assert trial.pop("seconds") >= 0
        for family in document["families"]:
            assert family.pop("seconds") >= family.pop("epoch_seconds") >= 0
        rankings.append(document)
    assert rankings[0] == rankings[1]
    assert len(rankings[0]["trials"]) == 14


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "trainer"])
def test_run_survives_a_killed_process(tmp_path: Path, victim: str) -> None:
    process = spawn(
        "run", write_long_study(tmp_path), "--json", folder=tmp_path,
        CONVSEARCH_CACHE=str(tmp_path / "cache"),
    )  # fmt: skip
    wait_for_epoch(tmp_path, process)
    (worker,) = psutil.Process(process.pid).children()
    (trainer,) = worker.children()
    (worker if victim == "worker" else trainer).kill()
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    trials = json.loads(out)["trials"]
    assert sorted(trial["trial"] for trial in trials) == [0, 1]
    assert "resumes after epoch" in worker_log(tmp_path)
    assert not worker.is_running()
    assert not trainer.is_running()
    study = optuna.load_study(study_name="blobs", storage=f"sqlite:///{tmp_path}/convsearch.db")
    for trial in study.trials:
        steps = sorted(trial.intermediate_values)
        assert steps == list(range(1, len(steps) + 1))

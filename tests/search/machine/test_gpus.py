"""Devices: GPUs as `nvidia-smi` lists them, those visible to CUDA, and their sharing."""

import sys
from pathlib import Path

import pytest

from search.errors import SettingsError
from search.machine.gpus import CPU, choose_devices, find_gpus
from search.trainer.process import Trainer

TWO_GPUS = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa1111-0000)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb2222-0000)
"""
PARTS = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa1111-0000)
  MIG 3g.20gb     Device  0: (UUID: MIG-cccc3333-0000)
  MIG 3g.20gb     Device  1: (UUID: MIG-dddd4444-0000)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb2222-0000)
"""


@pytest.fixture(autouse=True)
def no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, listing: str, code: int = 0) -> None:
    """Put an `nvidia-smi` on the PATH that lists GPUs."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n[ \"$1\" = -L ] && printf '%s' '{listing}'\nexit {code}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")


def visible(wanted: str) -> list[str]:
    return [device.environment["CUDA_VISIBLE_DEVICES"] for device in find_gpus(wanted)]


@pytest.mark.parametrize(
    ("listing", "setting", "expected"),
    [
        (TWO_GPUS, None, {"gpu 0": "0", "gpu 1": "1"}),
        (TWO_GPUS, "1", {"gpu 1": "1"}),
        (TWO_GPUS, "1,0", {"gpu 1": "1", "gpu 0": "0"}),
        (TWO_GPUS, "GPU-bbbb", {"gpu 1": "GPU-bbbb"}),
        (TWO_GPUS, "0,-1,1", {"gpu 0": "0"}),
        (TWO_GPUS, "", {}),
        (PARTS, None, {"gpu 0:0": "MIG-cccc3333-0000", "gpu 0:1": "MIG-dddd4444-0000",
                       "gpu 1": "1"}),
        (PARTS, "MIG-dddd4444-0000", {"gpu 0:1": "MIG-dddd4444-0000"}),
        ("", None, {}),
    ],
)  # fmt: skip
def test_auto_finds_the_gpus_that_cuda_may_see(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    listing: str,
    setting: str | None,
    expected: dict[str, str],
) -> None:
    install(tmp_path, monkeypatch, listing)
    if setting is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", setting)
    found = {device.name: device.visible for device in find_gpus("auto")}
    assert found == expected


def test_machine_without_a_driver_has_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_gpus("auto") == ()
    monkeypatch.undo()
    install(tmp_path, monkeypatch, "NVIDIA-SMI has failed.", code=9)
    assert find_gpus("auto") == ()


def test_gpus_are_named_by_index_part_or_unique_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, PARTS)
    assert visible("1") == ["1"]
    assert visible("1, 0:1") == ["1", "MIG-dddd4444-0000"]
    assert visible("MIG-dddd4444-0000,0:1") == ["MIG-dddd4444-0000"]
    assert visible("none") == []


@pytest.mark.parametrize(
    ("listing", "message"),
    [
        (TWO_GPUS, "some of this machine's GPUs: 0, 1. Received: 3"),
        ("", "some of this machine's GPUs: none. Received: 3"),
    ],
)
def test_missing_gpu_is_refused_with_the_available_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listing: str, message: str
) -> None:
    install(tmp_path, monkeypatch, listing)
    with pytest.raises(SettingsError, match=message):
        find_gpus("3")


def test_gpu_that_the_setting_hides_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, TWO_GPUS)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with pytest.raises(SettingsError, match=r"GPUs: 1 \(CUDA_VISIBLE_DEVICES is set\)"):
        find_gpus("0")


def test_gpus_are_shared_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, TWO_GPUS)

    def keys(workers: int | str | None) -> list[str]:
        chosen = choose_devices("auto", trainers_per_gpu=2, workers=workers)
        return [device.key for device in chosen]

    assert keys(None) == keys("auto") == ["0", "1", "0", "1"]
    assert keys(3) == ["0", "1", "0"]
    with pytest.raises(SettingsError, match=r"at most 4, 2 for each GPU of 0, 1\. Received: 5"):
        keys(5)


def test_workers_on_the_cpu_see_no_gpu() -> None:
    assert choose_devices("none", trainers_per_gpu=1, workers=None) == (CPU,)
    assert choose_devices("none", trainers_per_gpu=1, workers=3) == (CPU,) * 3
    with pytest.raises(SettingsError, match="--workers: expected 1 or more, or auto"):
        choose_devices("none", trainers_per_gpu=1, workers="many")


def test_trainer_sees_its_own_device_and_lets_memory_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, TWO_GPUS)
    names = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "TF_FORCE_GPU_ALLOW_GROWTH")
    script = f"import os, sys; print([os.environ.get(n) for n in {names}], file=sys.stderr)"

    def environment_of(**options: object) -> str:
        trainer = Trainer(command=(sys.executable, "-c", script), **options)  # type: ignore[arg-type]
        trainer._process.wait()
        words = trainer.stderr_tail()
        trainer.close()
        return words

    gpu = find_gpus("1")[0]
    assert environment_of(device=gpu.environment) == "['1', 'PCI_BUS_ID', 'true']"
    assert environment_of() == "['', None, None]"

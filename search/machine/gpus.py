"""The GPUs of this machine, and the GPU, or the CPU, that each local worker trains on."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from search.errors import SettingsError
from search.machine.cores import n_cores

LIST_COMMAND = ("nvidia-smi", "-L")
LIST_TIMEOUT_S = 60.0  # Drivers that have gone to sleep take many seconds to answer.
_GPU = re.compile(r"^GPU (\d+): .*\(UUID: (GPU-[^)]+)\)")
_MIG = re.compile(r"^\s+MIG .*Device\s+(\d+): \(UUID: (MIG-[^)]+)\)")


@dataclass(frozen=True, slots=True)
class Device:
    """What one trainer trains on: the CPU, one GPU, or one part of a GPU (MIG)."""

    key: str  # Its name in `--gpus`.
    uuid: str = ""
    visible: str = ""  # In CUDA_VISIBLE_DEVICES: a GPU's index, or the unique id of a part.
    uses_cuda_order: bool = False

    @property
    def name(self) -> str:
        """The name to display: `cpu`, `gpu 0`, or `gpu 0:1` for a part."""
        return "cpu" if not self.uuid else f"gpu {self.key}"

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables for its trainer; memory grows on demand, so that several can share a GPU."""
        if not self.uuid:
            return {"CUDA_VISIBLE_DEVICES": ""}
        # By default CUDA counts from the fastest GPU, nvidia-smi by bus id.
        order = {} if self.uses_cuda_order else {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        growth = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        return {"CUDA_VISIBLE_DEVICES": self.visible, **order, **growth}


CPU = Device("none")


def find_gpus(wanted: str) -> tuple[Device, ...]:
    """Return the GPUs that `--gpus` names; none means to train on the CPU.

    `wanted` is `auto` for all, `none`, or keys as `nvidia-smi -L` counts: `0,1`, or `0:1` or the
    unique id for a part of a GPU. GPUs that CUDA_VISIBLE_DEVICES hides are left out.

    Raises:
        SettingsError: If one of them was not found; the message lists those found.
    """
    if wanted == "none":
        return ()
    found = _visible(_list_gpus(), os.environ.get("CUDA_VISIBLE_DEVICES"))
    if wanted == "auto":
        return tuple(found)
    known = {device.key: device for device in found}
    known |= {device.uuid: device for device in found}
    keys = list(dict.fromkeys(key.strip() for key in wanted.split(",")))
    if missing := [key for key in keys if key not in known]:
        names = ", ".join(device.key for device in found) or "none"
        hidden = " (CUDA_VISIBLE_DEVICES is set)" if "CUDA_VISIBLE_DEVICES" in os.environ else ""
        raise SettingsError(
            f"--gpus: expected auto, none, or some of this machine's GPUs: {names}{hidden}. "
            f"Received: {', '.join(missing)}"
        )
    return tuple(dict.fromkeys(known[key] for key in keys))


def choose_gpus(
    wanted: str, *, trainers_per_gpu: int, n_workers: int | None
) -> tuple[Device, ...]:
    """Assign a GPU to each worker, taking the GPUs in turn; none means to train on the CPU.

    Raises:
        SettingsError: If a GPU was not found, or there are more workers than places.
    """
    gpus = find_gpus(wanted)
    if not gpus:
        return ()
    places = gpus * trainers_per_gpu
    if n_workers is not None and n_workers > len(places):
        raise SettingsError(
            f"--workers: expected at most {len(places)}, {trainers_per_gpu} for each GPU of "
            f"{', '.join(gpu.key for gpu in gpus)}. Received: {n_workers}. Raise "
            "--trainers-per-gpu, or train on the CPU with --gpus none."
        )
    return places[:n_workers]


def choose_devices(
    gpus: str, *, trainers_per_gpu: int, workers: int | str | None
) -> tuple[Device, ...]:
    """Assign a device to each worker of a `worker` command.

    By default each GPU gets `trainers_per_gpu` workers; without a GPU there is one worker, or with
    `auto` one for each core.

    Raises:
        SettingsError: If `workers` is no number, or as `choose_gpus` does.
    """
    if not (workers is None or workers == "auto" or (isinstance(workers, int) and workers >= 1)):
        raise SettingsError(f"--workers: expected 1 or more, or auto. Received: {workers}.")
    n_workers = workers if isinstance(workers, int) else None
    chosen = choose_gpus(gpus, trainers_per_gpu=trainers_per_gpu, n_workers=n_workers)
    n_on_cpu = n_cores() if workers == "auto" else n_workers or 1
    return chosen or (CPU,) * n_on_cpu


def _list_gpus() -> list[Device]:
    """List the GPUs by nvidia-smi; a partitioned GPU is replaced by its parts."""
    try:
        done = subprocess.run(
            LIST_COMMAND, capture_output=True, text=True, timeout=LIST_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    gpus: dict[str, list[Device]] = {}
    index = ""
    for line in done.stdout.splitlines() if done.returncode == 0 else ():
        if gpu := _GPU.match(line):
            index = gpu[1]
            gpus[index] = [Device(index, uuid=gpu[2], visible=index)]
        elif part := _MIG.match(line):
            whole = [device for device in gpus[index] if ":" in device.key]
            gpus[index] = [*whole, Device(f"{index}:{part[1]}", uuid=part[2], visible=part[2])]
    return [device for devices in gpus.values() for device in devices]


def _visible(found: Sequence[Device], setting: str | None) -> list[Device]:
    """Keep the GPUs in CUDA_VISIBLE_DEVICES; as in CUDA an unknown entry ends the list."""
    if setting is None:
        return list(found)
    visible: list[Device] = []
    for entry in (entry.strip() for entry in setting.split(",")):
        match = next((device for device in found if _is_named(device, entry)), None)
        if match is None:
            break
        visible.append(Device(match.key, uuid=match.uuid, visible=entry, uses_cuda_order=True))
    return visible


def _is_named(device: Device, entry: str) -> bool:
    """Whether an entry is the index of the GPU, or the beginning of its unique id."""
    if entry.isdigit():
        return entry == device.key.partition(":")[0]
    return entry != "" and device.uuid.startswith(entry)

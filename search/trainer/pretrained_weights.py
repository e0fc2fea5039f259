"""The weights of pretrained backbones, checked before a study spends any of its budget."""

import json
import select
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

from search.data import Progress
from search.errors import StudyMismatchError
from search.machine.processes import child_environment, last_lines, module_command
from search.settings.plan import TransferSettings
from search.settings.stored import WeightsFile
from spaces import Limits, SearchSpace, SpaceError
from spaces.models.backbones import (
    Weights,
    check_image_size,
    find_backbone,
    has_imagenet_weights,
    imagenet_file,
)

DEFAULT_BACKBONES = (
    "mobilenet_v2",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "efficientnet_v2_b0",
    "densenet121",
)
"""Small ones of several kinds; 90 MB of downloads in total."""
WAIT_S = 0.2
CHECK_MODULE = "search.training.check_weights"
"""Prints a line of JSON for each backbone: null, or why its weights cannot be used."""


def check_backbones(space: SearchSpace, settings: TransferSettings) -> None:
    """Check that the backbones accept the image size, and that a file of weights is for only one.

    Raises:
        SpaceError: If not; the message says which.
    """
    names = backbones_of(space)
    for name in names:
        check_image_size(find_backbone(name), (settings.image_size, settings.image_size))
    weights = Weights(settings.weights, settings.weights_mode)
    if weights.path is not None and len(names) > 1:
        raise SpaceError(
            f"Expected one backbone for the weights in {settings.weights}. Received: "
            f"{', '.join(names)}. Name the one they belong to with --backbones."
        )
    weights.digest()


def check_costs(
    space: SearchSpace, image_shape: tuple[int, int, int], n_classes: int, limits: Limits
) -> None:
    """Check that each backbone is within the limits with some head.

    Raises:
        SpaceError: If one is not; the message names it.
    """
    for name in backbones_of(space):
        with_backbone = space.with_only("transfer", backbone=name)
        try:
            with_backbone.check_image_shape(image_shape, n_classes, limits)
        except SpaceError as error:
            raise SpaceError(
                f"The backbone {name} is too large: leave it out of --backbones. {error}"
            ) from error


def backbones_of(space: SearchSpace) -> tuple[str, ...]:
    """Return the names of the backbones that a space draws from."""
    return tuple(str(name) for name in space.choices("backbone"))


def check_weights(
    space: SearchSpace, settings: TransferSettings, progress: Progress | None = None
) -> WeightsFile:
    """Download or check the weights of all backbones, and return their record.

    Raises:
        SpaceError: If they cannot be downloaded or do not fit; the message names the file to
            copy here, or the first layer that does not fit.
    """
    weights = Weights(settings.weights, settings.weights_mode)
    names: Sequence[str] = backbones_of(space)
    if weights.path is None:
        names = _not_downloaded(weights, names, settings.image_size)
    _check_in_child(weights, names, settings.image_size, progress)
    source = str(weights.path.resolve()) if weights.path else weights.source
    return WeightsFile(source=source, mode=weights.mode, digest=weights.digest())


def check_local_weights(weights: WeightsFile, space: SearchSpace, image_size: int) -> None:
    """Download or check a study's weights on the machine of a worker.

    Raises:
        SpaceError: If they are not and cannot be downloaded; the message names the file to copy.
        StudyMismatchError: If the file holds other weights.
    """
    here = Weights(weights.source, weights.mode)
    digest = here.digest()
    if digest != weights.digest:
        raise StudyMismatchError(
            f"The weights at {weights.source} are {digest[:12]}, those of the study "
            f"{weights.digest[:12]}. Bring the study's own file there."
        )
    _check_in_child(here, _not_downloaded(here, backbones_of(space), image_size), image_size, None)


def _not_downloaded(weights: Weights, backbones: Sequence[str], image_size: int) -> Sequence[str]:
    """Return the backbones whose ImageNet weights would have to be downloaded."""
    if weights.source != "imagenet":
        return ()
    size = (image_size, image_size)
    return [name for name in backbones if not has_imagenet_weights(find_backbone(name), size)]


def _check_in_child(
    weights: Weights, backbones: Sequence[str], image_size: int, progress: Progress | None
) -> None:
    """Download or load weights in a child process, since that needs TensorFlow."""
    if not backbones:
        return
    arguments = [weights.source, weights.mode or "", str(image_size), *backbones]
    command = module_command(CHECK_MODULE, *arguments)
    environment = child_environment()
    n_done = 0
    size = (image_size, image_size)
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        ) as process,
    ):
        for line in _lines(process.stdout):
            refusal = json.loads(line) if line else None
            if refusal is not None:
                raise SpaceError(refusal + _also_missing(weights, backbones[n_done + 1 :], size))
            n_done += 1 if line else 0
            if progress is not None:
                progress(n_done, len(backbones), "weights")
        process.wait()
        errors.seek(0)
        words = " ".join(last_lines(errors.read()))
    if n_done < len(backbones):
        raise SpaceError(f"The weights of backbones were not checked: {words}")


def _also_missing(weights: Weights, backbones: Sequence[str], size: tuple[int, int]) -> str:
    """Name the other missing files, so that all of them can be copied at once."""
    if weights.path is not None or not backbones:
        return ""
    names = [imagenet_file(find_backbone(name), size).name for name in backbones]
    return f" The other backbones lack theirs too: {', '.join(names)}."


def _lines(stream: IO[str] | None) -> Iterator[str]:
    """Yield a child's lines, and empty ones while it works."""
    assert stream is not None
    while True:
        while not select.select([stream], [], [], WAIT_S)[0]:
            yield ""
        line = stream.readline()
        if not line:
            return
        yield line

"""The source of a backbone's weights, and the scaling of pixels that they expect."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from spaces.errors import SpaceError
from spaces.models.backbones.catalog import Backbone, Mode

IMAGENET, RANDOM = "imagenet", "none"
FILE_MODES: tuple[Mode, ...] = ("torch", "tf", "caffe")


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of a backbone.

    `source` is `imagenet` (Keras' own download and cache), `none` (random ones from a fixed seed),
    or the path of a `.weights.h5` file or of one of Keras' own `.h5` files. `mode` is the scaling
    of pixels for a file's weights; None means that of Keras' own ImageNet weights. A mode replaces
    the rescaling of networks that rescale pixels themselves.
    """

    source: str = IMAGENET
    mode: Mode | None = None

    def __post_init__(self) -> None:
        if self.mode is not None and self.mode not in FILE_MODES:
            known = ", ".join(FILE_MODES)
            raise SpaceError(f"Expected a mode of weights: {known}. Received: `{self.mode}`.")
        if self.mode is not None and self.path is None:
            raise SpaceError(
                f"Expected a mode for the weights of a file only; leave --weights-mode out. "
                f"Received: mode={self.mode} with `{self.source}` weights."
            )

    @property
    def path(self) -> Path | None:
        """The file of the weights, if the user named one."""
        return None if self.source in {IMAGENET, RANDOM} else Path(self.source).expanduser()

    def mode_for(self, backbone: Backbone) -> Mode:
        """Return the scaling of pixels for a backbone with these weights."""
        return self.mode or backbone.mode

    def digest(self) -> str:
        """Return `imagenet`, `none`, or the SHA-256 of the file.

        Raises:
            SpaceError: If the file cannot be read.
        """
        if self.path is None:
            return self.source
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise SpaceError(
                f"Expected a file of weights at {self.path}. Received: {error.strerror}."
            ) from error


RANDOM_WEIGHTS = Weights(RANDOM)
"""Random weights, where only shapes matter."""

"""A child process that downloads or loads the weights of backbones: `search.weights` starts it."""

import os
import sys
from collections.abc import Sequence

from spaces import SpaceError
from spaces.models.backbones import Weights, build_backbone, fetch_imagenet_weights, find_backbone

REFUSED = 3


def main(arguments: Sequence[str]) -> int:
    """Checks `SOURCE MODE IMAGE_SIZE BACKBONE...`, and prints what is wrong."""
    source, mode, side, *backbones = arguments
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    weights = Weights(source, mode or None)  # type: ignore[arg-type]  # checked by Weights
    size = (int(side), int(side))
    try:
        for name in backbones:
            if weights.path is None:
                fetch_imagenet_weights(find_backbone(name), size)
            else:
                build_backbone(name, (*size, 3), weights)
    except SpaceError as error:
        print(error, file=answers, flush=True)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

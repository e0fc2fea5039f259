"""A child process that downloads or loads the weights of backbones, for `pretrained_weights`."""

import json
import os
import sys
from collections.abc import Sequence

from spaces import SpaceError
from spaces.models.backbones import Weights, build_backbone, fetch_imagenet_weights, find_backbone


def main(arguments: Sequence[str]) -> None:
    """Check `SOURCE MODE IMAGE_SIZE BACKBONE...`: print a line for each, null or the problem."""
    source, mode, side, *backbones = arguments
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    weights = Weights(source, mode or None)  # type: ignore[arg-type]  # checked by Weights
    for name in backbones:
        refusal = _check(name, int(side), weights)
        print(json.dumps(refusal), file=output)
        if refusal is not None:
            return


def _check(name: str, side: int, weights: Weights) -> str | None:
    try:
        if weights.path is None:
            fetch_imagenet_weights(find_backbone(name), (side, side))
        else:
            build_backbone(name, (side, side, 3), weights)
    except SpaceError as error:
        return str(error)
    return None


if __name__ == "__main__":
    main(sys.argv[1:])

from collections.abc import Callable

import numpy as np
import pytest

from analysis.source_page.facts import (
    EqualImages,
    ListedImage,
    NearPair,
    Sheet,
    ShownImage,
    SourceFacts,
)


def make_facts(names: tuple[str, ...] = ("cat", "dog"), **changes: object) -> SourceFacts:
    """Return the facts of a made source; `names` are its classes."""
    rng = np.random.default_rng(0)
    counts = {
        split: dict.fromkeys(names, n) for split, n in (("train", 700), ("val", 1), ("test", 9))
    }

    def shown(number: int) -> ShownImage:
        image = ListedImage(f"{names[0]}/{number}.png", names[0], "train" if number % 2 else "")
        return ShownImage(image, rng.integers(0, 256, (96, 96, 1), dtype=np.uint8))

    listed = tuple(ListedImage(f"{it}/1.png", it) for it in names[:5])
    values = {
        "name": "scans",
        "kind": "folder",
        "classes": names,
        "found": counts,
        "used": counts,
        "preparation": {"Size": "32 × 32 pixels"},
        "sizes": {it: {(100 + k, 100): 3 for k in range(20)} for it in names},
        "histograms": {it: tuple(rng.dirichlet(np.ones(64)).tolist()) for it in names},
        "n_in_histogram": 200,
        "baseline": 0.75,
        "majority": 0.5,
        "group_sizes": {1: 3, 2: 8, 5: 1},
        "n_mixed_groups": 2,
        "divided": (),
        "n_divided": 0,
        "near": tuple(NearPair(shown(k), shown(k + 1), 0.9985, k > 1) for k in range(3)),
        "n_near": 5_000,
        "n_certain": 7,
        "equal": (EqualImages(shown(1).pixels, listed[:1] * 2, 2),),
        "n_equal": 1,
        "conflicts": (EqualImages(shown(1).pixels, listed, 70),),
        "n_conflicts": 3,
        "sheets": tuple(Sheet(it, tuple(map(shown, range(24))), 710) for it in names[:12]),
        "warnings": ("the images are not what they seem",),
        "n_warnings": 41,
        "broken": {"a/torn.png": "not a PNG"},
        "n_broken": 1,
    }
    return SourceFacts(**(values | changes))


@pytest.fixture(scope="session")
def make_source_facts() -> Callable[..., SourceFacts]:
    return make_facts

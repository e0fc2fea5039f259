"""The dashboard's pictures: what they are of may be odd, and they are PNG all the same."""

import io
import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis.dashboard.pictures import (
    draw_architecture,
    draw_confusion,
    draw_curve,
    draw_samples,
    style,
)
from analysis.report.facts import Picture
from spaces import DrawnLayer, SearchSpace, draw_network
from spaces.families import builtin_families
from spaces.parameters.stub_trials import PreferredTrial
from storage import EpochRow
from tests.analysis.report.made_facts import make_curve, make_layers, make_picture

LONG = "a name that never ends " * 40
MATH = r"$\frac{1}{2}$ $x^ $$"
ODD = (MATH, LONG, "", "<b>&amp;", "肺炎", "a\nb\tc\x00d", "\U0001f9e0\u200d", "\udc80", "العربية")


def opened(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    image.load()
    assert image.format == "PNG"
    return image


def curve(n_epochs: int, *, second_phase: int | None = None) -> tuple[EpochRow, ...]:
    return make_curve(n_epochs, 0.9, np.random.default_rng(7), second_phase=second_phase)


def residual(n_blocks: int) -> tuple[DrawnLayer, ...]:
    shape, before = (8, 8, 4), "image"
    layers = [DrawnLayer("image", "image", shape, 0, ())]
    for i in range(n_blocks):
        layers += [
            DrawnLayer(f"conv{i}", "conv2d", shape, 148, (before,)),
            DrawnLayer(f"act{i}", "activation", shape, 0, (f"conv{i}",)),
            DrawnLayer(f"add{i}", "add", shape, 0, (f"act{i}", before)),
        ]
        before = f"add{i}"
    return (*layers, DrawnLayer("out", "probabilities", (2,), 10, (before,)))


def pictures(n: int, *, side: int = 28, label: str = "benign") -> list[Picture]:
    return [make_picture(np.random.default_rng(i), label, side=side) for i in range(n)]


def n_of(image: Image.Image, colour: str, *, near: int = 12) -> int:
    """Counts the pixels of a colour."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    apart = np.abs(np.asarray(image.convert("RGB")).astype(int) - wanted).max(axis=2)
    return int((apart <= near).sum())


DRAWN: dict[str, Callable[[str], bytes]] = {
    "curve": lambda title: draw_curve(curve(12, second_phase=6), title=title),
    "confusion": lambda title: draw_confusion([[8, 1], [0, 5]], ["a", "b"], title=title),
    "architecture": lambda title: draw_architecture(make_layers(), title=title),
    "samples": lambda title: draw_samples(pictures(3), title=title),
}


@cache
def usual_size(draw: Callable[[str], bytes]) -> tuple[int, int]:
    return opened(draw("Trial 3")).size


KINDS = pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)


@KINDS
def test_same_data_gives_the_same_bytes(draw: Callable[[str], bytes]) -> None:
    assert draw("Trial 3") == draw("Trial 3")
    assert draw("Trial 3") != draw("Trial 4")


@KINDS
def test_picture_tells_nothing_but_its_pixels(draw: Callable[[str], bytes]) -> None:
    image = opened(draw("Trial 3"))
    assert image.mode == "RGB"
    assert not image.info
    assert image.getpixel((0, 0)) == (255, 255, 255)


@KINDS
@pytest.mark.parametrize("title", ODD)
@pytest.mark.filterwarnings("error")
def test_any_title_is_drawn_without_a_warning(draw: Callable[[str], bytes], title: str) -> None:
    assert opened(draw(title)).size == usual_size(draw)


def test_threads_draw_what_one_would() -> None:
    alone = [draw("Trial 3") for draw in DRAWN.values()]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda draw: draw("Trial 3"), [*DRAWN.values()] * 3))
    assert together == alone * 3


def test_users_own_settings_of_matplotlib_neither_matter_nor_are_lost() -> None:
    import matplotlib

    usual = draw_curve(curve(4), title="Trial 3")
    own = {"text.usetex": True, "axes.facecolor": "red", "lines.linestyle": ":"}
    with matplotlib.rc_context(own):  # type: ignore[arg-type]
        assert draw_curve(curve(4), title="Trial 3") == usual
        assert matplotlib.rcParams["axes.facecolor"] == "red"


def fresh(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_home_that_cannot_be_written_to_is_no_error_and_no_message(tmp_path: Path) -> None:
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    code = "from analysis.dashboard.pictures import draw_curve as f; print(len(f([], title='a')))"
    places = dict.fromkeys(("HOME", "MPLCONFIGDIR", "XDG_CONFIG_HOME"), str(nowhere / "x"))
    ended = fresh(code, **places)
    assert ended.returncode == 0
    assert ended.stderr == ""
    assert int(ended.stdout) > 1000


def test_matplotlib_waits_for_the_first_picture_and_pyplot_never_loads() -> None:
    code = """
import sys
from analysis.dashboard.pictures import draw_curve
assert "matplotlib" not in sys.modules and "plotly" not in sys.modules
draw_curve([], title="")
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    assert fresh(code).stderr == ""


@pytest.mark.parametrize("n_epochs", [0, 1, 2, 12, 500])
def test_curve_of_any_length_has_the_same_size(n_epochs: int) -> None:
    assert opened(draw_curve(curve(n_epochs), title="Trial 3")).size == (900, 560)


def test_curve_of_one_epoch_shows_its_points() -> None:
    image = opened(draw_curve(curve(1), title="Trial 3")).crop((0, 110, 900, 560))
    assert n_of(image, "#2a7fc4") > 20
    assert n_of(image, "#e08a00") > 20


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf, None, 1e308])
@pytest.mark.filterwarnings("error")
def test_loss_that_is_no_number_is_marked(broken: float) -> None:
    rows = list(curve(8))
    rows[3] = replace(rows[3], val_loss=broken)
    whole, marked = draw_curve(curve(8), title="a"), draw_curve(rows, title="a")
    assert n_of(opened(marked), "#d1491b") > n_of(opened(whole), "#d1491b")


@pytest.mark.filterwarnings("error")
def test_curve_without_a_single_number_is_drawn() -> None:
    nothing = dict.fromkeys(
        ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "learning_rate"), math.nan
    )
    rows = [replace(row, **nothing) for row in curve(3)]
    assert opened(draw_curve(rows, title="a")).size == (900, 560)


@pytest.mark.filterwarnings("error")
def test_curve_with_one_huge_loss_still_shows_the_others() -> None:
    rows = list(curve(8))
    rows[1] = replace(rows[1], val_loss=4e6)
    image = opened(draw_curve(rows, title="a")).crop((120, 330, 880, 480))
    calm = np.asarray(image)[:, 400:700].reshape(-1, 3)
    is_orange = (np.abs(calm.astype(int) - (224, 138, 0)).max(axis=1) < 12).reshape(150, 300)
    assert 60 < np.nonzero(is_orange)[0].mean() < 149


def test_fine_tuning_and_reduced_rates_change_the_curve() -> None:
    rows = curve(12)
    even = [replace(row, learning_rate=1e-3) for row in rows]
    tuned = [replace(row, phase=2 if row.epoch > 6 else 1) for row in even]
    assert len({draw_curve(it, title="a") for it in (rows, even, tuned)}) == 3


@pytest.mark.parametrize("n", [0, 1, 2, 9, 12, 13, 60, 300])
def test_confusion_of_any_number_of_classes_is_drawn(n: int) -> None:
    names = [f"class {i}" for i in range(n)]
    image = opened(draw_confusion(np.eye(n, dtype=int).tolist(), names, title="a"))
    assert image.width == 900
    assert 200 <= image.height <= 1200


def test_cells_of_few_classes_say_their_numbers() -> None:
    few = {draw_confusion([[k, 0], [0, k]], ["a", "b"], title="t") for k in (7, 8)}
    n = 13
    many = {
        draw_confusion((np.eye(n, dtype=int) * k).tolist(), ["a"] * n, title="t") for k in (7, 8)
    }
    assert len(few) == 2
    assert len(many) == 1


def test_cells_are_darker_the_larger_their_share_of_the_row() -> None:
    image = opened(draw_confusion([[90, 10], [20, 80]], ["a", "b"], title="t"))
    at = [(200, 75), (860, 75), (200, 275), (860, 275)]
    light = [sum(image.getpixel(it)) for it in at]  # type: ignore[arg-type]
    assert light[0] < light[3] < light[2] < light[1]


@pytest.mark.filterwarnings("error")
def test_confusion_with_odd_names_and_empty_rows() -> None:
    n = len(ODD)
    image = opened(draw_confusion([[0] * n] * n, ODD, title="t"))
    assert image.width == 900


def test_counts_of_millions_stay_in_their_cells() -> None:
    n = 12
    png = draw_confusion([[12_345_678] * n] * n, [LONG] * n, title="t")
    between = np.asarray(opened(png))[300:340, -20 - 1 :]
    assert (between[:, 2:] > 200).all()


@pytest.mark.parametrize("family", builtin_families())
def test_networks_of_all_families_are_drawn(family: str) -> None:
    space = SearchSpace.create([family])
    configs = [space.suggest(PreferredTrial(values)) for values in space.known_good()]
    for config in configs[:2]:
        image = opened(draw_architecture(draw_network(config, (64, 64, 1), 3), title="t"))
        assert 600 <= image.width <= 1800
        assert image.height <= 4000


def test_network_of_200_layers_is_folded_and_not_shrunk() -> None:
    image = opened(draw_architecture(residual(66), title="t"))
    assert image.height <= 4000
    assert image.width <= 1800
    boxes = np.asarray(image)[:, :, :] == (246, 247, 248)
    assert boxes.all(axis=2).sum() > 133 * 0.6 * 176 * 46


@pytest.mark.slow
def test_network_of_a_thousand_layers_is_no_higher_than_others() -> None:
    assert opened(draw_architecture(residual(330), title="t")).height <= 4000


@pytest.mark.filterwarnings("error")
def test_layers_with_odd_names_and_kinds_are_drawn() -> None:
    layers = [DrawnLayer("image", "image", (8, 8, 1), 0, ())]
    for i, name in enumerate(ODD):
        layers.append(DrawnLayer(f"{i}{name}", name, (8, 8, 4), 10**12, (layers[-1].name,)))
    assert opened(draw_architecture(layers, title="t")).height > 600


def test_no_layers_and_no_samples_say_so() -> None:
    for png in (draw_architecture((), title="t"), draw_samples([], title="t")):
        assert n_of(opened(png).crop((0, 60, 600, 200)), style.MUTED, near=60) > 50


def test_each_class_has_its_images_over_its_name() -> None:
    mixed = [replace(it, label="ab"[i % 2]) for i, it in enumerate(pictures(6))]
    in_order = sorted(mixed, key=lambda it: it.label)
    assert draw_samples(mixed, title="t") == draw_samples(in_order, title="t")


def test_small_images_are_enlarged_pixel_by_pixel() -> None:
    pixels = np.zeros((2, 2, 1), np.uint8)
    pixels[0, 0] = 255
    image = opened(draw_samples([Picture(pixels, "a")], title="t"))
    shown = np.asarray(image)[style.HEAD : style.HEAD + 135, style.EDGE : style.EDGE + 135, 0]
    assert shown[:66, :66].min() == 255
    assert shown[70:].max() == 0


@pytest.mark.parametrize("shape", [(1, 1, 1), (28, 28, 3), (700, 30, 3), (1, 900, 1)])
def test_images_of_any_shape_and_channels_are_drawn(shape: tuple[int, int, int]) -> None:
    pixels = np.full(shape, 10, np.uint8)
    image = opened(draw_samples([Picture(pixels, MATH), Picture(pixels, LONG)], title="t"))
    assert image.width == 900
    assert n_of(image, "#0a0a0a", near=0) >= 2


def test_of_many_images_some_of_each_class_are_drawn() -> None:
    sizes = [
        opened(draw_samples(all_of(n_classes, 9), title="t")).height for n_classes in (1, 20, 200)
    ]
    assert sizes[0] < sizes[1] == sizes[2] < 2200


def all_of(n_classes: int, n_each: int) -> Sequence[Picture]:
    return [it for i in range(n_classes) for it in pictures(n_each, label=f"class {i}")]

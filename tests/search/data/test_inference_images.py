"""Single images for inference: the same pixels as in a prepared folder, with notes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data import DataSettings, prepare
from search.data.inference_images import PreparedImage, prepare_image
from search.data.source_api import UnreadableImage
from tests.search.data.deep_files import save_deep_png


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def draw(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def notes_of(path: Path, size: int, channels: int, color: str = "auto") -> tuple[str, ...]:
    found = prepare_image(path, size, channels, color)
    assert isinstance(found, PreparedImage)
    assert found.pixels.shape == (size, size, channels)
    return found.notes


@pytest.mark.parametrize("resize", ["auto", "stretch", "pad", "crop"])
@pytest.mark.parametrize("color", ["auto", "grey", "rgb"])
def test_pixels_are_those_of_a_prepared_folder(tmp_path: Path, color: str, resize: str) -> None:
    near_grey = draw((20, 30, 1)).repeat(3, axis=2)
    near_grey[..., 0] ^= 1
    shapes = {"grey": draw((20, 30)), "color": draw((9, 9, 3)), "near": near_grey}
    for name, pixels in shapes.items():
        for split in ("train", "val", "test"):
            path = tmp_path / "images" / split / name / "1.png"
            save(path, np.roll(pixels, len(split), axis=0))
    settings = DataSettings(
        source=str(tmp_path / "images"), image_size=16, color=color, resize=resize
    )  # type: ignore[arg-type]
    data = prepare(settings, tmp_path / "cache")
    assert data.fit == ("pad" if resize == "auto" else resize)
    channels = data.image_shape[-1]
    for name, pixels, label in zip(
        data.classes, data.images("test"), data.labels("test"), strict=True
    ):
        assert label == data.classes.index(name)
        path = tmp_path / "images" / "test" / name / "1.png"
        found = prepare_image(path, 16, channels, color, fit=data.fit)
        assert isinstance(found, PreparedImage)
        np.testing.assert_array_equal(found.pixels, pixels)


def test_ignored_parts_of_a_file_are_noted(tmp_path: Path) -> None:
    pages = [Image.fromarray(draw((16, 16), seed)) for seed in range(3)]
    stack, single = tmp_path / "stack.tif", tmp_path / "single.tif"
    pages[0].save(stack, save_all=True, append_images=pages[1:])
    pages[0].save(single)
    assert notes_of(stack, 16, 1) == ("only the first of several pages",)
    assert notes_of(single, 16, 1) == ()
    color = draw((16, 16, 4))
    assert notes_of(save(tmp_path / "alpha.png", color), 16, 3) == (
        "transparent parts made black",
    )
    color[..., 3] = 255
    assert notes_of(save(tmp_path / "opaque.png", color), 16, 3) == ()
    save(tmp_path / "alpha.tif", draw((16, 16, 4)))
    assert "transparent parts made black" in notes_of(tmp_path / "alpha.tif", 16, 3)


def test_changes_to_an_image_are_noted(tmp_path: Path) -> None:
    grey = save(tmp_path / "grey.png", draw((16, 16)))
    assert notes_of(grey, 16, 1) == ()
    assert notes_of(grey, 16, 3) == ("grey repeated for three channels",)
    color = save(tmp_path / "color.png", draw((16, 16, 3)))
    assert notes_of(color, 16, 3) == ()
    assert notes_of(color, 16, 1) == ("color made grey",)
    wide = save(tmp_path / "wide.bmp", draw((20, 30)))
    assert notes_of(wide, 16, 1) == ("30×20 pixels made 16×16", "stretched: it is not square")
    deep = save(tmp_path / "deep.tiff", draw((16, 16)).astype(np.uint16) * 16)
    (note,) = notes_of(deep, 16, 1)
    assert note == "scaled to 8 bits by its own range, as training had 8-bit images only"
    stored = save(tmp_path / "stored.png", draw((16, 16, 1)).repeat(3, axis=2))
    assert notes_of(stored, 16, 1) == ()


def test_unreadable_file_is_broken_with_a_reason(tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("hello")
    cut = save(tmp_path / "cut.png", draw((64, 64)))
    cut.write_bytes(cut.read_bytes()[:500])
    huge = tmp_path / "huge.png"
    Image.new("1", (9000, 9000)).save(huge)
    for path, reason in (
        (text, "not a PNG, JPEG, BMP, TIFF or WebP"),
        (cut, "truncated"),
        (huge, "megapixels"),
        (tmp_path / "none.png", "No such file or directory"),
        (tmp_path, "not a file"),
    ):
        found = prepare_image(path, 16, 1, "auto")
        assert isinstance(found, UnreadableImage)
        assert reason in found.reason
        assert "Errno" not in found.reason


PICTURES = draw((12, 16, 16), 7) // 2 + 20
"""Grey pictures of 20 to 147."""
AS_ARRAY = {
    "uint8": PICTURES,
    "uint16": PICTURES.astype(np.uint16) * 16 + 7,
    "uint16 of 8 bits": PICTURES.astype(np.uint16),
    "int64": PICTURES.astype(np.int64),
    "float32": (PICTURES / 255).astype(np.float32),
    "float64": PICTURES / 255,
    "float64 of whole numbers": PICTURES.astype(np.float64),
}


@pytest.mark.parametrize("color", [False, True], ids=["grey", "color"])
@pytest.mark.parametrize("kind", AS_ARRAY)
def test_picture_of_an_array_is_read_as_in_training(
    tmp_path: Path, kind: str, color: bool
) -> None:
    """The same pictures as an array and as PNG files have the same pixels."""
    images = AS_ARRAY[kind]
    files = PICTURES.astype(np.uint8) if images.max() <= 255 else images
    if color:
        images, files = (np.stack([it, it[:, ::-1], it[:, :, ::-1]], -1) for it in (images, files))
    np.savez(tmp_path / "set.npz", images=images, labels=np.arange(12) % 2 + 5)
    settings = DataSettings(source=str(tmp_path / "set.npz"), image_size=12)
    data = prepare(settings, tmp_path / "cache")
    read = set()
    for number, pixels in enumerate(files):
        is_deep_color = color and pixels.dtype == np.uint16
        path = (save_deep_png if is_deep_color else save)(tmp_path / f"{number}.png", pixels)
        found = prepare_image(
            path, 12, 3 if color else 1, "rgb" if color else "grey", data.pixel_range
        )
        assert isinstance(found, PreparedImage)
        read.add(found.pixels.tobytes())
    trained = {it.tobytes() for split in data.counts for it in data.images(split)}
    assert read == trained
    assert data.classes == ("5", "6")


def test_float_file_of_a_fraction_is_read_as_in_training(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", (PICTURES[0] / 255).astype(np.float32))
    found = prepare_image(path, 16, 1, "grey", (0.0, 1.0))
    assert isinstance(found, PreparedImage)
    np.testing.assert_array_equal(found.pixels[..., 0], PICTURES[0])
    deep = save(tmp_path / "a.png", PICTURES[0].astype(np.uint16) * 257)
    found = prepare_image(deep, 16, 1, "grey", (0.0, 1.0))
    assert isinstance(found, PreparedImage)
    np.testing.assert_array_equal(found.pixels[..., 0], PICTURES[0])


def test_scaling_by_the_training_range_is_noted(tmp_path: Path) -> None:
    def notes(pixels: np.ndarray, trained_on: tuple[float, float]) -> tuple[str, ...]:
        found = prepare_image(save(tmp_path / "a.tif", pixels), 16, 1, "grey", trained_on)
        assert isinstance(found, PreparedImage)
        return found.notes

    deep = PICTURES[0].astype(np.uint16) * 10
    assert notes(deep, (0, 4000)) == ("0 to 4000 made 0 to 255, as in training",)
    assert notes(deep, (0, 900.5)) == ("0 to 900.5 made 0 to 255, as in training, and clipped",)
    assert notes(PICTURES[0], (3, 250)) == ("3 to 250 made 0 to 255, as in training",)
    assert notes(PICTURES[0], (-1000, 3000)) == ()  # It was made of deeper pixels by its author.
    assert notes(PICTURES[0], (0, 1)) == ()

"""JPEG files without their end marker are read, and those that miss anything else are not."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from search.data import DataSettings, inspect_source, prepare
from search.data.decode import decode
from search.data.inference_images import PreparedImage, prepare_image

KINDS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "grey": {"mode": "L"},
    "progressive": {"progressive": True},
    "subsampled": {"subsampling": "4:2:0"},
    "restarts": {"restart_marker_blocks": 1},
    "optimized": {"optimize": True, "quality": 95},
}


def encode(seed: int = 0, mode: str = "RGB", **options: Any) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (21, 36, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(content, "JPEG", **options)
    return content.getvalue()


@pytest.mark.parametrize("lost", [2, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_jpeg_without_its_end_marker_is_read(tmp_path: Path, kind: str, lost: int) -> None:
    whole = encode(**KINDS[kind])
    (tmp_path / "whole.jpg").write_bytes(whole)
    (tmp_path / "cut.jpg").write_bytes(whole[:-lost])
    expected, found = (decode(str(tmp_path / f"{name}.jpg")) for name in ("whole", "cut"))
    assert (expected.lacks_end, found.lacks_end) == (False, True)
    np.testing.assert_array_equal(found.pixels, expected.pixels)


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_that_fill_up_before_a_marker_miss_nothing(tmp_path: Path, kind: str) -> None:
    whole = encode(**KINDS[kind])
    (tmp_path / "whole.jpg").write_bytes(whole)
    (tmp_path / "cut.jpg").write_bytes(whole[:-2] + b"\xff" * 10)
    expected, found = (decode(str(tmp_path / f"{name}.jpg")) for name in ("whole", "cut"))
    assert found.lacks_end
    np.testing.assert_array_equal(found.pixels, expected.pixels)


@pytest.mark.parametrize("kind", KINDS)
def test_jpeg_that_misses_more_is_refused_wherever_it_ends(tmp_path: Path, kind: str) -> None:
    """A file may end within the last byte of pixels, which also holds bits that mean nothing."""
    whole = encode(**KINDS[kind])
    path = tmp_path / "cut.jpg"
    (tmp_path / "whole.jpg").write_bytes(whole)
    expected = decode(str(tmp_path / "whole.jpg")).pixels.astype(int)
    start = whole.index(b"\xff\xda")
    for end in range(start, len(whole) - 2):
        path.write_bytes(whole[:end])
        try:
            found = decode(str(path))
        except OSError:
            continue
        np.testing.assert_array_equal(found.pixels, expected)


@pytest.mark.parametrize("kind", ["progressive", "restarts"])
def test_jpeg_that_ends_between_its_parts_is_refused(tmp_path: Path, kind: str) -> None:
    whole = encode(**KINDS[kind])
    marks = [b"\xff\xda"] if kind == "progressive" else [bytes([0xFF, 0xD0 + n]) for n in range(8)]
    ends = [at for at in range(len(whole)) if whole[at : at + 2] in marks][1:]
    assert len(ends) > 3
    path = tmp_path / "cut.jpg"
    for end in ends:
        path.write_bytes(whole[:end])
        with pytest.raises(OSError, match="truncated"):
            decode(str(path))


def test_unended_jpegs_are_counted_and_named(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        for seed in range(4):
            path = tmp_path / "images" / label / f"{seed}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            cut = 2 if label == "dog" else 0
            path.write_bytes(encode(seed + 9 * cut)[: -cut or None])
    (tmp_path / "images" / "cat" / "torn.jpg").write_bytes(encode()[:-900])
    settings = DataSettings(source=str(tmp_path / "images"), image_size=16)
    for warnings in (
        inspect_source(settings).warnings,
        prepare(settings, tmp_path / "cache").metadata["warnings"],
    ):
        (said,) = (it for it in warnings if "end marker" in it)
        assert said.startswith("4 JPEG files lack their end marker and were read: dog/")
        assert said.endswith(", ...")
    assert prepare(settings, tmp_path / "cache").metadata["broken"].keys() == {"cat/torn.jpg"}
    found = prepare_image(tmp_path / "images" / "dog" / "0.jpg", 16, 3, "auto")
    assert isinstance(found, PreparedImage)
    assert "its end marker is missing" in found.notes

"""The page of a source: what it shows, what it never has, and where it is written."""

import json
import os
import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data import DataSettings, examine_source, prepare
from search.data.settings import DEMO
from search.errors import SettingsError
from search.reports import source_choice
from search.reports.source_choice import choose_images, draw_images
from search.reports.source_facts import gather_source_facts
from search.reports.source_page import check_page, write_source_page
from tests.analysis.report.page_reader import Reader
from tests.search.data.dicom_files import write_dicom

EVIL = "<img src=x onerror=alert(1)>"
N = 20


def blob(seed: int, size: int = 40) -> np.ndarray:
    """Return a smooth picture, whose mirrored copy is a near duplicate, and no other is."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


def write(path: Path, pixels: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes with a mirrored copy, an exact one, a contradiction, and a broken file."""
    root = tmp_path_factory.mktemp("scans")
    for i in range(N):
        write(root / "a" / f"{i:02}.png", blob(i))
        write(root / EVIL / f"{i:02}.png", blob(100 + i) // 2)
    write(root / "a" / f"{EVIL}.png", blob(50, 60))
    write(root / EVIL / "mirrored.png", blob(3)[:, ::-1])
    write(root / "a" / "copy.png", blob(4))
    write(root / EVIL / "wrong.png", blob(5))
    (root / "a" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return root


@pytest.fixture(scope="module")
def page(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_source_page(DataSettings(source=str(folder)), path)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def reader(page: str) -> Reader:
    return Reader(page)


@pytest.fixture(scope="module")
def text(reader: Reader) -> str:
    return " ".join(reader.text.split())


def pictures(reader: Reader) -> dict[str, Image.Image]:
    """Return the pictures of a page by their alternative texts."""
    found = [attrs for tag, attrs in reader.tags if tag == "img"]
    mark = "data:image/png;base64,"
    assert all(it["src"].startswith(mark) for it in found)
    return {
        it["alt"]: Image.open(BytesIO(b64decode(it["src"].removeprefix(mark)))) for it in found
    }


def test_page_counts_classes_and_what_a_search_uses(page: str, text: str) -> None:
    assert "44 images in 2 classes. A search would use 42 of them." in text
    heads = re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', page)
    assert heads[:5] == ["class", "found", "used, training", "used, validation", "used, test"]
    assert re.search(r'<th scope="row">a</th>\s*<td class="n">22</td>', page)


def test_page_shows_pairs_contradictions_and_broken_images(reader: Reader, text: str) -> None:
    assert "1 certain and 0 likely pairs" in text
    assert "certain different classes" in text
    assert "03.png, class a" in " ".join(pictures(reader))
    contradictions = text[text.index("The same pixels in different classes") :]
    for name in ("a/05.png", "wrong.png"):
        assert contradictions.index(name) < contradictions.index("a/copy.png")
    assert text.index("a/torn.png") < text.index("not a PNG")


def test_page_has_warnings_and_the_baseline(text: str, folder: Path, tmp_path: Path) -> None:
    baseline = prepare(DataSettings(source=str(folder)), tmp_path).metadata["baseline"]
    assert f"reach a validation accuracy of {baseline:.4f}." in text
    assert "near duplicates with different classes: 1 pair" in text
    assert "left out, the same pixels in different classes" in text


def test_sheets_show_the_names_of_files(reader: Reader) -> None:
    titles = {attrs["title"] for tag, attrs in reader.tags if tag == "img" and "title" in attrs}
    assert {f"a/{i:02}.png" for i in range(N) if i != 5} <= titles
    assert f"a/{EVIL}.png" in titles


def test_pictures_are_bare_pngs_as_networks_see_them(reader: Reader, folder: Path) -> None:
    found = pictures(reader)
    for picture in found.values():
        assert (picture.format, picture.size, picture.mode) == ("PNG", (96, 96), "L")
        assert not picture.info
        assert not picture.getexif()
    with Image.open(folder / "a" / "07.png") as image:
        expected = np.asarray(image.resize((96, 96), Image.Resampling.BILINEAR))
    assert (np.asarray(found["a/07.png, class a"]) == expected).all()


def test_page_loads_nothing_and_its_policy_forbids_it(page: str, reader: Reader) -> None:
    assert all(it.startswith(("data:", "#")) for it in reader.loads)
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:|//)", page[: page.index("<script")])
    policy = next(attrs["content"] for tag, attrs in reader.tags if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none';")


def test_names_are_text_and_never_markup(page: str, reader: Reader) -> None:
    assert EVIL not in page
    assert EVIL in reader.text
    assert not any("onerror" in attrs for _, attrs in reader.tags)


def test_page_is_readable_without_a_mouse(reader: Reader) -> None:
    assert reader.count("h1") == 1
    ids = {attrs["id"] for tag, attrs in reader.tags if "id" in attrs}
    links = {attrs["href"][1:] for tag, attrs in reader.tags if tag == "a"}
    assert links <= ids
    assert all(attrs["alt"] for tag, attrs in reader.tags if tag == "img")
    drawn = [attrs for _, attrs in reader.tags if attrs.get("role") == "img"]
    assert len(drawn) == 2
    assert all(attrs["aria-label"] for attrs in drawn)


def test_figures_have_the_sizes_and_a_histogram_of_each_class(reader: Reader) -> None:
    written = next(text for attrs, text in reader.scripts if attrs.get("id") == "figures")
    assert "<" not in written
    drawn = json.loads(written)
    assert {
        (x, y) for it in drawn["sizes"]["data"] for x, y in zip(it["x"], it["y"], strict=True)
    } == {
        (40, 40),
        (60, 60),
    }
    lines = drawn["intensities"]["data"]
    assert len(lines) == 2
    assert all(sum(line["y"]) == pytest.approx(100, abs=0.1) for line in lines)


def test_page_is_the_same_each_time(folder: Path, page: str, tmp_path: Path) -> None:
    write_source_page(DataSettings(source=str(folder)), tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_groups_are_numbers_and_no_identifier_is_on_the_page(tmp_path: Path) -> None:
    for patient in range(12):
        for number in range(1 + patient % 3):
            write_dicom(
                tmp_path / "scans" / "ab"[patient % 2] / f"{patient:02}{number}.dcm",
                blob(10 * patient + number).astype(np.int16) * 10,
                PatientID=f"PLANTED-{patient}",
                PatientName=f"Planted^{patient}",
                StudyInstanceUID=f"1.2.826.0.1.3680043.8.498.{patient + 1}",
            )
    path = tmp_path / "page.html"
    write_source_page(DataSettings(source=str(tmp_path / "scans")), path)
    page = path.read_text(encoding="utf-8")
    assert "PLANTED" not in page
    assert "Planted" not in page
    assert "1.2.826.0.1.3680043.8.498" not in page
    text = " ".join(Reader(page).text.split())
    assert "12 groups, the largest of 3 images." in text
    assert str(tmp_path) not in page


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("n_classes", [2, 30, 200])
def test_number_of_pictures_is_limited(
    tmp_path: Path, channels: int, n_classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    n = max(6 * n_classes, 120)
    shape = (n, 10, 10, 3)[: 3 + (channels == 3)]
    np.savez(
        tmp_path / "s.npz",
        images=rng.integers(0, 256, shape, dtype=np.uint8),
        labels=np.arange(n) % n_classes,
    )
    monkeypatch.setattr(source_choice, "MAX_PICTURE_BYTES", 2**20)
    found = examine_source(DataSettings(source=str(tmp_path / "s.npz"), image_size=8))
    chosen = choose_images(found)
    n_bytes = len(chosen.pictured()) * 96 * 96 * channels * 4 / 3
    assert n_bytes <= 2**20
    sizes = set(map(len, chosen.sheets.values()))
    assert min(sizes) >= 4
    assert max(sizes) <= 24


def test_one_image_does_not_fill_the_list_of_pairs(tmp_path: Path) -> None:
    for i in range(12):
        write(tmp_path / "a" / f"copy{i}.png", blob(1) // 2 + i)
        write(tmp_path / "b" / f"{i}.png", blob(100 + i))
        write(tmp_path / "a" / f"{i}.png", blob(200 + i))
    found = examine_source(DataSettings(source=str(tmp_path), allow_leaks=True))
    assert len(found.twins) == 12 * 11 / 2
    pairs = choose_images(found).near
    shown = [i for it in pairs for i in (it.first, it.second)]
    assert max(map(shown.count, shown)) == 2
    assert len(set(shown)) >= 11
    facts = gather_source_facts(found)
    assert (len(facts.near), facts.n_near) == (len(pairs), 66)


def test_draw_takes_other_groups_first() -> None:
    from search.data.source_api import Item

    items = [Item(f"{i}", 0, group="many" if i < 90 else f"one {i}") for i in range(100)]
    drawn = draw_images(range(100), items, 11, np.random.default_rng(0))
    assert len({items[i].group for i in drawn}) == 11
    assert drawn == sorted(drawn)


def test_page_is_private_unless_it_is_shared(
    folder: Path, public_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, settings = public_folder / "page.html", DataSettings(source=str(folder))
    path.write_text("An earlier page.")
    path.chmod(0o644)
    previous = os.umask(0o022)
    try:
        write_source_page(settings, path)
        assert path.stat().st_mode & 0o777 == 0o600
        monkeypatch.setenv("CONVSEARCH_SHARED", "1")
        write_source_page(settings, path)
        assert path.stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(previous)
    assert [it.name for it in public_folder.iterdir()] == ["page.html"]
    assert "An earlier page" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("there", "expected a file. Received a folder"),
        ("missing/page.html", "there is no folder .*missing"),
        ("scans.npz", "expected a name that ends with .html. Received: .*scans.npz"),
        ("file.html/page.html", "there is no folder"),
    ],
)
def test_wrong_path_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "file.html").touch()
    with pytest.raises(SettingsError, match=message):
        check_page(tmp_path / name)


def test_wrong_path_is_refused_before_images_are_read(folder: Path, tmp_path: Path) -> None:
    calls: list[int] = []
    with pytest.raises(SettingsError):
        write_source_page(
            DataSettings(source=str(folder)), tmp_path, lambda done, *_: calls.append(done)
        )
    assert not calls


def test_progress_goes_on_while_images_are_read_again(folder: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int, str]] = []
    write_source_page(
        DataSettings(source=str(folder)), tmp_path / "p.html", lambda *call: calls.append(call)
    )
    assert [done for done, _, _ in calls] == list(range(1, len(calls) + 1))
    assert len(calls) > 45
    assert calls[-1][0] == calls[-1][1]


@pytest.mark.slow
def test_demo_has_a_page(tmp_path: Path) -> None:
    summary = write_source_page(DataSettings(source=DEMO), tmp_path / "demo.html")
    assert summary.kind == "demo"
    assert (tmp_path / "demo.html").stat().st_size < 12_000_000

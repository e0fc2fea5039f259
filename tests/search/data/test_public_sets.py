"""The table of public sets, and finding one by its name."""

import re

import pytest

from search.data.public_sets import (
    SIZES,
    PublicSet,
    check_size,
    citations,
    find_public_set,
    homepage,
    public_sets,
)
from search.errors import DataError

SETS = public_sets()


@pytest.mark.parametrize("found", SETS.values(), ids=SETS)
def test_facts_of_a_set_have_their_form(found: PublicSet) -> None:
    assert re.fullmatch(r"[a-z]+mnist", found.name)
    assert tuple(found.md5) == SIZES
    assert all(re.fullmatch("[0-9a-f]{32}", md5) for md5 in found.md5.values())
    assert tuple(found.counts) == ("train", "val", "test")
    assert min(found.counts.values()) > 0
    assert found.channels in {1, 3}
    assert found.about
    assert found.source
    assert found.license.startswith("CC BY")
    assert found.license_url.startswith("https://creativecommons.org/licenses/")
    for size in SIZES:
        assert re.fullmatch(r"https://[\w./]+\.npz\?download=1", found.url(size))


@pytest.mark.parametrize("found", SETS.values(), ids=SETS)
def test_options_can_name_every_class_of_a_set(found: PublicSet) -> None:
    assert len(set(found.classes)) == len(found.classes) > 1
    assert all(re.fullmatch(r"[\w &-]+", name) for name in found.classes)


def test_checksums_differ() -> None:
    checksums = [md5 for found in SETS.values() for md5 in found.md5.values()]
    assert len(set(checksums)) == len(checksums) == 4 * len(SETS)


def test_sources_are_addresses_or_articles() -> None:
    assert homepage().startswith("https://")
    assert all("https://doi.org/" in it for it in citations())


def test_size_is_in_the_name_of_the_file_except_for_the_smallest() -> None:
    found = find_public_set("pneumoniamnist")
    assert found.file_name(28) == "pneumoniamnist.npz"
    assert found.file_name(224) == "pneumoniamnist_224.npz"
    assert found.url(64, "http://mirror/sets/") == "http://mirror/sets/pneumoniamnist_64.npz"
    assert found.n_images == 5856
    assert found.pixel_bytes(64) == 5856 * 64 * 64


def test_name_may_be_written_as_its_publisher_does() -> None:
    assert find_public_set("PneumoniaMNIST").name == "pneumoniamnist"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pneumonia", "'pneumonia'. Did you mean `pneumoniamnist`?"),
        ("organmnist", "Did you mean `organ.mnist`?"),
        ("xyz", "Known: pathmnist, dermamnist"),
        ("x" * 5000, "x…'. Known: "),
        ("chestmnist", "chestmnist cannot be a source: an image may have several"),
        ("OrganMNIST3D", "organmnist3d cannot be a source: it holds volumes"),
    ],
)
def test_other_names_are_refused_with_a_hint(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message.replace("?", r"\?")) as caught:
        find_public_set(name)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("size", [0, -28, 32, 10**9])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(DataError, match=f"expected one of 28, 64, 128, 224. Received: {size}"):
        check_size(size)

import pytest

from search.data.path_ends import PathEnds

PATHS = [("set", "train", "p1", "a.png"), ("set", "val", "p2", "a.png"), ("b.png",), ("p2", "c")]


@pytest.mark.parametrize(
    ("parts", "positions"),
    [
        (("a.png",), [0, 1]),
        (("p1", "a.png"), [0]),
        (("set", "val", "p2", "a.png"), [1]),
        (("data", "set", "val", "p2", "a.png"), [1]),
        (("p3", "a.png"), []),
        (("anywhere", "b.png"), [2]),
        (("png",), []),
        ((), []),
        (("x",) * 5000 + ("b.png",), [2]),
    ],
)
def test_path_is_found_by_its_last_parts(parts: tuple[str, ...], positions: list[int]) -> None:
    assert PathEnds(PATHS).find(parts) == positions


def test_path_with_more_of_the_parts_is_meant() -> None:
    ends = PathEnds([("p1", "a.png"), ("set", "p1", "a.png")])
    assert ends.find(("set", "p1", "a.png")) == [1]
    assert ends.find(("p1", "a.png")) == [0, 1]

"""Commands of child processes."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("analysis", "search", "spaces", "storage")


def test_python_is_started_in_two_places_and_never_looks_in_the_current_folder() -> None:
    starting = {
        str(path.relative_to(ROOT)): path.read_text()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "sys.executable" in path.read_text()
    }
    assert starting.keys() == {
        "search/machine/processes.py",
        "storage/embedded_postgres/data_folder.py",
    }
    assert all('sys.executable, "-P"' in text for text in starting.values())

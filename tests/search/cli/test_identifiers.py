"""Identifiers of patients are in no file that a search and its report make."""

import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from analysis.dashboard.app import Dashboard
from search.reports.dataset_facts import load_dataset_facts
from storage import Store
from tests.analysis.dashboard.asking import ask
from tests.search.cli.conftest import Call
from tests.search.data.dicom_files import write_dicom

NAME, NUMBER, UID = "Doe^Jane^Planted", "PLANTED-4711", "1.2.826.0.1.3680043.8.498.4711"
SECRETS = [it.encode() for it in ("Planted", "PLANTED", UID)]


def write_patients(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for patient in range(12):
        for number in range(3):
            write_dicom(
                folder / "ab"[patient % 2] / f"scan{patient:02}{number}",
                rng.integers(0, 4000, (20, 20)).astype(np.int16),
                PatientID=f"{NUMBER}-{patient}",
                PatientName=f"{NAME}{patient}",
                StudyInstanceUID=f"{UID}.{patient}",
                SeriesInstanceUID=f"{UID}.{patient}.1",
                AccessionNumber=f"{NUMBER}{patient}",
            )


def dashboard_pages(store: Path) -> list[bytes]:
    """Return what a dashboard shows of the study."""
    with closing(Store.inspect(f"sqlite:///{store}")) as opened:
        app = Dashboard(opened, load_dataset_facts=load_dataset_facts)
        paths = ("/api/studies", "/api/studies/1?after=0", "/csv/1")
        answers = [ask(app, path) for path in paths]
    assert [it.status for it in answers] == [200] * len(paths)
    return [it.body for it in answers]


def secrets_in(path: Path) -> list[str]:
    """Return the identifiers in a file, or in the members of a zipped one."""
    contents = [path.read_bytes()]
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            contents += [archive.read(name) for name in archive.namelist()]
    return [it.decode() for it in SECRETS if any(it in content for content in contents)]


TRAINING = ("--families", "plain", "--image-size", "16", "--max-epochs", "1", "--workers", "1")
SEARCH = (
    ("data", "inspect", "scans"),
    ("data", "inspect", "scans", "--json", "--html", "page.html"),
    ("data", "prepare", "table.csv", "--image-size", "16"),
    ("run", "scans", "--study", "s", "--trials", "2", *TRAINING),
    ("study", "show", "s"),
    ("rank", "s", "--all"),
    ("study", "export", "s"),
)
REPORT = (
    ("confirm", "s", "--top", "1", "--seeds", "2", "--workers", "1", "--test"),
    ("report", "s", "--out", "report"),
    ("predict", "report/best.keras", "scans/a/scan000"),
)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("commands", "suffixes"),
    [
        (SEARCH, {".safetensors", ".html", ".log", ".db"}),
        pytest.param((*SEARCH, *REPORT), {".keras", ".ipynb"}, marks=pytest.mark.slow),
    ],
    ids=["search", "report"],
)
def test_no_file_has_an_identifier(
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    commands: tuple[tuple[str, ...], ...],
    suffixes: set[str],
) -> None:
    monkeypatch.setenv("CONVSEARCH_CACHE", str(tmp_path / "cache"))
    scans = tmp_path / "scans"
    write_patients(scans)
    rows = [f"scans/{it.relative_to(scans)},{it.parent.name}" for it in scans.rglob("scan*")]
    numbered = [f"{row},{NUMBER}{row[-7:-3]}" for row in rows]
    (tmp_path / "table.csv").write_text("\n".join(["path,label,patient", *numbered]))
    for number, command in enumerate(commands):
        code, out, err = call(*command)
        assert code == 0, (command, err)
        (tmp_path / f"output{number}").write_text(out + err)
    (tmp_path / "dashboard").write_bytes(b"".join(dashboard_pages(tmp_path / "convsearch.db")))
    given = {tmp_path / "table.csv", *scans.rglob("*")}
    files = [it for it in tmp_path.rglob("*") if it.is_file() and it not in given]
    assert suffixes <= {it.suffix for it in files}
    assert {str(it): found for it in files if (found := secrets_in(it))} == {}
    assert secrets_in(scans / "a" / "scan000") == ["Planted", "PLANTED", UID]

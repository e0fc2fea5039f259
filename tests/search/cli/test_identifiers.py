"""Identifiers of patients are in no file that a search and its report make."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

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


def secrets_in(path: Path) -> list[str]:
    """Return the identifiers in a file, or in the members of a zipped one."""
    contents = [path.read_bytes()]
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            contents += [archive.read(name) for name in archive.namelist()]
    return [it.decode() for it in SECRETS if any(it in content for content in contents)]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_file_has_an_identifier(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVSEARCH_CACHE", str(tmp_path / "cache"))
    scans = tmp_path / "scans"
    write_patients(scans)
    options = ("--families", "plain", "--image-size", "16", "--max-epochs", "1", "--workers", "1")
    commands = [
        ("data", "inspect", "scans"),
        ("data", "inspect", "scans", "--json"),
        ("run", "scans", "--study", "s", "--trials", "2", *options),
        ("study", "show", "s"),
        ("rank", "s", "--all"),
        ("report", "s", "--out", "report"),
        ("study", "export", "s"),
        ("predict", "report/best.keras", "scans/a/scan000"),
    ]
    for number, command in enumerate(commands):
        code, out, err = call(*command)
        assert code == 0, (command, err)
        (tmp_path / f"output{number}").write_text(out + err)
    files = [it for it in tmp_path.rglob("*") if it.is_file() and scans not in it.parents]
    assert {".safetensors", ".keras", ".html", ".ipynb", ".log", ".db"} <= {
        it.suffix for it in files
    }
    assert {str(it): found for it in files if (found := secrets_in(it))} == {}
    assert secrets_in(scans / "a" / "scan000") == ["Planted", "PLANTED", UID]

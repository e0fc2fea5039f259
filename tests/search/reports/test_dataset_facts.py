"""How images were made and chosen is in all of a report, without names of files or people."""

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from PIL import Image

from analysis import facts_to_json
from analysis.report.facts import Facts
from analysis.report.notebook import build_notebook
from analysis.report.page import render_page
from analysis.report.preparation import Preparation
from search.data import PreparedSet
from search.reports.dataset_facts import describe_images
from search.reports.gather_facts import gather_facts
from search.studies.open_study import OpenStudy
from search.trainer.process import Trainer
from search.workers.proposals import next_proposal
from search.workers.trial_runner import Interruption, TrialRunner
from storage import Outcome, finish_trial, register_worker
from tests.analysis.report.page_reader import Reader

MakeStudy = Callable[..., OpenStudy]
FAKE = str(Path(__file__).parents[1] / "fake_trainer.py")
NEVER = Interruption(now=lambda: False, at_epoch_end=lambda: False)
CLASSES = ("glioma", "meningioma", "normal")
N_PATIENTS, SIDE = 24, 16
PLANTED = "StMarysHospital"
PATTERNS = ("Anna_Smith", "scan_of_Bob")
OPTIONS: Mapping[str, Any] = {
    "merge": {"tumor": ["glioma", "meningioma"]},
    "window": "1000/2000",
    "group_column": "patient_of_carl",
    "where": [f"site={PLANTED}"],
    "exclude": [f"{PATTERNS[0]}*", f"*{PATTERNS[1]}*"],
    "max_images": 60,
    "own_splits": "ignore",
    "allow_leaks": True,
}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of 72 deep images of three classes, three of each patient."""
    rng = np.random.default_rng(0)
    rows = ["path,label,patient_of_carl,site,split"]
    for i in range(len(CLASSES) * N_PATIENTS):
        pixels = rng.integers(0, 2000, (SIDE, 2 * SIDE), np.uint16)
        Image.fromarray(pixels).save(tmp_path / f"{i:03}.png")
        patient = i % N_PATIENTS
        split = ("train", "train", "val", "test")[patient % 4]
        rows.append(f"{i:03}.png,{CLASSES[i // N_PATIENTS]},p{patient},{PLANTED},{split}")
    path = tmp_path / "scans.csv"
    path.write_text("\n".join(rows))
    return path


@pytest.fixture
def facts(table: Path, make_study: MakeStudy) -> Facts:
    """Facts of a study with many choices, and a trial that was not really trained."""
    opened = make_study(data={"source": str(table), **OPTIONS})
    proposal = next_proposal(opened, register_worker(opened.store, opened.study_id))
    assert proposal is not None
    with closing(Trainer(command=(sys.executable, FAKE, "well"))) as trainer:
        ending = TrialRunner(opened, proposal, trainer, NEVER).run()
    assert isinstance(ending, Outcome)
    finish_trial(opened.store, proposal.lease, ending, proposal.pending)
    return gather_facts(opened.store, opened.name)


def text_of(facts: Facts, lang: str) -> str:
    return " ".join(Reader(render_page(facts, lang=lang)).text.split())


def notebook_of(facts: Facts, lang: str) -> str:
    return nbformat.writes(build_notebook(facts, store="sqlite:///there.db", lang=lang))


def test_report_says_how_the_images_were_made(facts: Facts) -> None:
    for text in (text_of(facts, "en"), notebook_of(facts, "en")):
        for said in (
            "one range for all images of more than 8 bits: 0 becomes black, 2,000 white",
            "--window 1000/2000",
            "were stretched to squares",
            "images of 24 groups; each group is in one split; groups are from a column of the"
            " table",
            "tumor: glioma, meningioma",
            "1 condition had to hold",
            "by 2 patterns",
            "60, drawn as evenly over the classes",
            "new ones; the source's own splits were not used",
            "--allow-leaks",
        ):
            assert said in text


def test_russian_report_says_it_in_russian(facts: Facts) -> None:
    for text in (text_of(facts, "ru"), notebook_of(facts, "ru")):
        for said in (
            "0 становится чёрным, 2 000 — белым",
            "изображения 24 групп; каждая группа целиком в одной выборке",
            "Объединённые классы",
            "tumor: glioma, meningioma",
            "по 1 условию",
            "по 2 шаблонам",
        ):
            assert said in text.replace("\u202f", " ")


def test_json_has_the_same_facts(facts: Facts) -> None:
    assert facts_to_json(facts)["data"]["preparation"] == {
        **asdict(Preparation()),
        "scaling": "set",
        "pixel_range": [0.0, 2000.0],
        "window": "1000/2000",
        "resize": "stretch",
        "n_groups": N_PATIENTS,
        "groups_from": "column",
        "chosen_classes": [],
        "merged_classes": {"tumor": ["glioma", "meningioma"]},
        "ignores_own_splits": True,
        "leaks": "allowed",
        "max_images": 60,
        "n_conditions": 1,
        "n_exclusions": 2,
    }


def test_no_file_of_a_report_has_the_values_of_conditions(facts: Facts) -> None:
    files = [json.dumps(facts_to_json(facts)), repr(facts)]
    files += [make(facts, lang) for make in (text_of, notebook_of) for lang in ("en", "ru")]
    for name in (PLANTED, *PATTERNS, "patient_of_carl", "scans.csv"):
        assert all(name not in it for it in files)


def test_defaults_say_only_pixels_and_shape(opened: OpenStudy) -> None:
    found = describe_images(opened.settings, opened.data).preparation
    assert found == Preparation(scaling="none", resize="stretch")


def test_set_of_an_older_version_has_facts(opened: OpenStudy, prepared: PreparedSet) -> None:
    for key in ("pixel_range", "resize", "n_groups"):
        del prepared.metadata[key]
    found = describe_images(opened.settings, {"scratch": prepared}).preparation
    assert found == Preparation()


def test_images_without_a_group_are_counted_apart(table: Path, make_study: MakeStudy) -> None:
    rows = table.read_text().replace(",p3,", ",,").replace(",p4,", ",,")
    table.write_text(rows)
    opened = make_study(data={"source": str(table), "group_column": "patient_of_carl"})
    found = describe_images(opened.settings, opened.data).preparation
    assert (found.n_groups, found.n_without_group) == (N_PATIENTS - 2, 2 * len(CLASSES))
    assert found.n_divided_groups == 0
    assert found.max_images is None

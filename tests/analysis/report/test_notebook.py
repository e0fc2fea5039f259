"""The notebook: its text, its run on a new kernel, and that it does not mention the machine."""

import ast
import getpass
import json
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from string import Formatter
from typing import Any

import nbformat
import psutil
import pytest

import analysis
from analysis.errors import ReportError
from analysis.report.facts import Facts
from analysis.report.notebook import build_notebook, kernel, write_notebook
from analysis.report.notebook.cell_writer import code_block, escape_markdown, python_literal
from analysis.report.texts import LANGUAGES, texts
from tests.tools.foreign_modules import write_foreign_modules

MakeFacts = Callable[..., Facts]
Notebook = Mapping[str, Any]

STORE = "sqlite:///../brain.db"
SECRET = "postgresql://anna:s3cret@server/brain"
VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"with_test": False},
    {"with_confirmation": False, "with_test": False},
    {"with_weights": False},
    {"is_partial": True, "n_trials": 8},
)
GATHER = """
import search

def gather_facts(store, study, winner):
    {body}
    from tests.analysis.report.made_facts import make_facts
    return make_facts(n_trials=12)

search.gather_facts = gather_facts
"""


@pytest.fixture
def gather(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make kernels load invented facts; the function sets code that runs before that."""
    folder = tmp_path / "stub"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))

    def set_gather(body: str) -> None:
        (folder / "sitecustomize.py").write_text(GATHER.format(body=body))

    set_gather("pass")
    return set_gather


@pytest.fixture
def small(make_facts: MakeFacts) -> Facts:
    return make_facts(n_trials=12)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "report"
    folder.mkdir()
    return folder


def _prose(notebook: Notebook) -> str:
    return "\n".join(it["source"] for it in notebook["cells"] if it["cell_type"] == "markdown")


def _code(notebook: Notebook) -> list[str]:
    return [it["source"] for it in notebook["cells"] if it["cell_type"] == "code"]


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("parts", VARIANTS)
def test_cells_are_short_and_use_public_names_of_analysis(
    make_facts: MakeFacts, parts: dict[str, Any], lang: str
) -> None:
    notebook = build_notebook(make_facts(**parts), store=STORE, lang=lang)
    nbformat.validate(notebook)
    for source in _code(notebook):
        ast.parse(source)
        assert len(source.splitlines()) <= 8
        assert set(re.findall(r"analysis\.(\w+)", source)) <= set(analysis.__all__)
        assert "sqlite" not in source or STORE in source


@pytest.mark.parametrize(
    ("lang", "headings"),
    [
        ("en", ["Aim", "Data", "Methods", "Search", "Results", "Conclusion"]),
        ("ru", ["Цель", "Данные", "Методы", "Поиск", "Результаты", "Заключение"]),
    ],
)
def test_text_has_its_sections(facts: Facts, lang: str, headings: list[str]) -> None:
    prose = _prose(build_notebook(facts, store=STORE, lang=lang))
    assert re.findall(r"^## \d\. (.*)$", prose, re.MULTILINE) == headings


def test_text_states_the_numbers(facts: Facts) -> None:
    prose = _prose(build_notebook(facts, store=STORE))
    accuracy = facts.examined["test"].evaluation.accuracy
    conclusion = prose[prose.index("Conclusion") :]
    assert f"{facts.winner.val_accuracy:.4f}" in conclusion
    assert f"{accuracy.value:.3f}" in conclusion
    assert f"{accuracy.low:.3f} to {accuracy.high:.3f}" in conclusion
    assert facts.winner.command in conclusion
    assert f"{facts.search.n_epochs} epochs were trained" in prose


@pytest.mark.parametrize(
    ("parts", "said", "unsaid"),
    [
        ({}, "is not distinguishable from trial", "not confirmed"),
        ({"with_confirmation": False}, "**not confirmed**", "probability that it is the best"),
        ({"with_test": False}, "**no test score**", "which had no part in choosing it, its"),
        ({"is_partial": True}, "**The search was not finished", "has not been run"),
    ],
)
def test_conclusion_states_its_limitations(
    make_facts: MakeFacts, parts: dict[str, Any], said: str, unsaid: str
) -> None:
    prose = _prose(build_notebook(make_facts(**parts), store=STORE))
    conclusion = prose[prose.index("## 6. Conclusion") :]
    assert said in conclusion
    assert unsaid not in conclusion


def test_conclusion_lists_the_cautions(facts: Facts) -> None:
    prose = _prose(build_notebook(facts, store=STORE))
    assert "- The classes are imbalanced: the largest has 8.5 times" in prose
    assert "- The best value of dropout, 0.01, lies at the edge" in prose


def test_names_are_escaped_as_markup_and_as_code(facts: Facts) -> None:
    notebook = build_notebook(facts, store=STORE)
    without_code = re.sub(r"```.*?```", "", _prose(notebook), flags=re.DOTALL)
    assert "<script>" not in without_code
    assert "<b>" not in without_code
    (gather_call,) = [it for it in _code(notebook) if "gather_facts" in it]
    names = [it.value for it in ast.walk(ast.parse(gather_call)) if isinstance(it, ast.Constant)]
    assert facts.study in names


@pytest.mark.parametrize("name", ['a"b', "a'b\"c", "a\\", "\n", "é\u2028", "{x}", "\ud800"])
def test_quoted_names_are_read_back(name: str) -> None:
    assert ast.literal_eval(python_literal(name)) == name


def test_plain_names_contain_no_markdown() -> None:
    assert escape_markdown("a_b*\n# <i>`$x$`") == r"a\_b\* \# &lt;i&gt;\`\$x\$\`"


def test_no_command_closes_its_code_block() -> None:
    assert code_block("a ``` b").splitlines()[-1] == "````"


def test_passwords_of_the_store_are_hidden(facts: Facts) -> None:
    assert "s3cret" not in nbformat.writes(build_notebook(facts, store=SECRET))


def test_texts_of_all_languages_have_the_same_places() -> None:
    english, russian = (texts(lang, "notebook").entries for lang in ("en", "ru"))
    assert list(english) == list(russian)
    for key, entry in english.items():
        assert _places(entry) == _places(russian[key]), key


def _places(entry: Any) -> set[str]:
    forms = [entry] if isinstance(entry, str) else entry.values()
    return {name for form in forms for _, name, _, _ in Formatter().parse(form) if name}


def test_an_unknown_language_is_refused(facts: Facts) -> None:
    with pytest.raises(ValueError, match="en or ru"):
        build_notebook(facts, store=STORE, lang="de")


def test_notebook_runs_and_shows_every_table_and_figure(
    small: Facts, out: Path, gather: Callable[[str], None]
) -> None:
    reported: list[tuple[int, int, str]] = []
    path = out / "report.ipynb"
    write_notebook(small, path, store=STORE, progress=lambda *how_far: reported.append(how_far))
    notebook = json.loads(path.read_text(encoding="utf-8"))
    nbformat.validate(nbformat.from_dict(notebook))
    cells = [it for it in notebook["cells"] if it["cell_type"] == "code"]
    assert [it["execution_count"] for it in cells] == list(range(1, len(cells) + 1))
    assert [n_done for n_done, *_ in reported] == list(range(1, len(cells) + 1))
    for cell in cells:
        source = "".join(cell["source"])
        kinds = {kind for it in cell["outputs"] for kind in it.get("data", {})}
        assert "application/vnd.plotly.v1+json" in kinds or "analysis.plot_" not in source
        assert {"text/html", "text/plain"} <= kinds or "_table(" not in source
        assert not [it for it in cell["outputs"] if it["output_type"] in {"stream", "error"}]
    assert path.stat().st_size < 12e6


def test_notebook_does_not_mention_the_machine_and_loads_nothing(
    small: Facts, out: Path, gather: Callable[[str], None]
) -> None:
    gather(
        "import os, sys; print(__file__, store, file=sys.stderr); "
        "open('reported', 'w').write(store + ' ' + os.environ['IPYTHONDIR'])"
    )
    path, again = out / "report.ipynb", out / "again.ipynb"
    write_notebook(small, path, store=STORE, environment={"CONVSEARCH_STORE": SECRET})
    write_notebook(small, again, store=STORE, environment={"CONVSEARCH_STORE": SECRET})
    text = path.read_text(encoding="utf-8")
    assert text == again.read_text(encoding="utf-8")
    figures = "".join(line for line in text.splitlines() if len(line) < 100_000)  # No plotly.js.
    for private in (str(out), "s3cret", "anna", sys.prefix, socket.gethostname() + "/"):
        assert private not in text
    assert f"/{getpass.getuser()}/" not in figures
    assert not re.search(r"<script[^>]*src=", figures)
    notebook = json.loads(text)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert all("execution" not in it["metadata"] for it in notebook["cells"])
    kernel_store, kernel_folder = (out / "reported").read_text().split()
    assert kernel_store == SECRET
    assert not Path(kernel_folder).exists()


def test_kernel_is_this_python_with_this_store_and_does_not_write_to_the_home_folder(
    small: Facts, out: Path, gather: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = {"argv": ["/nowhere/python", "{connection_file}"], "display_name": "x", "language": "x"}
    home = out.parent / "home"
    for kernels in (home / ".local/share/jupyter/kernels", out.parent / "path/kernels"):
        (kernels / "python3").mkdir(parents=True)
        (kernels / "python3/kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("CONVSEARCH_STORE", "sqlite:////elsewhere.db")
    monkeypatch.setenv("JUPYTER_PATH", str(out.parent / "path"))
    before = sorted(home.rglob("*"))
    foreign = write_foreign_modules(out)
    gather("import sys; open('reported', 'w').write(f'{sys.executable} {store}')")
    write_notebook(small, out / "report.ipynb", store=STORE)
    assert (out / "reported").read_text() == f"{sys.executable} {STORE}"
    assert sorted(home.rglob("*")) == before
    assert not foreign.exists()


@pytest.fixture
def no_kernel_left() -> Iterator[None]:
    before = {it.pid for it in psutil.Process().children(recursive=True)}
    yield
    after = {it.pid for it in psutil.Process().children(recursive=True)}
    assert after <= before


@pytest.mark.usefixtures("no_kernel_left")
def test_a_failing_notebook_is_written_without_results(
    small: Facts, out: Path, gather: Callable[[str], None]
) -> None:
    gather("raise LookupError(f'No study in {store}\\nand more')")
    with pytest.raises(ReportError) as caught:
        write_notebook(
            small, out / "report.ipynb", store=STORE, environment={"CONVSEARCH_STORE": SECRET}
        )
    message = str(caught.value)
    assert message.startswith("A cell failed: LookupError: No study in postgresql://anna")
    assert "s3cret" not in message
    assert "\n" not in message
    text = (out / "report.ipynb").read_text(encoding="utf-8")
    assert "**This notebook has not been run:**" in text
    assert "s3cret" not in text
    assert not any(it.get("outputs") for it in json.loads(text)["cells"])


@pytest.mark.usefixtures("no_kernel_left")
def test_a_cell_that_takes_too_long_is_interrupted(
    small: Facts, out: Path, gather: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    gather("import time; time.sleep(600)")
    monkeypatch.setattr(kernel, "CELL_TIMEOUT_S", 3)
    with pytest.raises(ReportError, match=r"longer than 3 s\."):
        write_notebook(small, out / "report.ipynb", store=STORE)


@pytest.mark.usefixtures("no_kernel_left")
def test_a_kernel_that_dies_is_reported(
    small: Facts, out: Path, gather: Callable[[str], None]
) -> None:
    gather("import os; os._exit(3)")
    with pytest.raises(ReportError, match="The Jupyter kernel"):
        write_notebook(small, out / "report.ipynb", store=STORE)


@pytest.mark.usefixtures("no_kernel_left")
def test_a_kernel_that_does_not_start_is_reported(
    small: Facts, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = out.parent / "broken"
    broken.mkdir()
    (broken / "ipykernel_launcher.py").write_text("raise SystemExit('no kernel today')")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    with pytest.raises(ReportError, match="The Jupyter kernel did not work: no kernel today"):
        write_notebook(small, out / "report.ipynb", store=STORE)


@pytest.mark.usefixtures("no_kernel_left")
def test_ctrl_c_ends_the_kernel_and_writes_nothing(
    small: Facts, out: Path, gather: Callable[[str], None]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_notebook(small, out / "report.ipynb", store=STORE, progress=interrupt)
    assert not list(out.iterdir())


@pytest.mark.usefixtures("no_kernel_left")
def test_a_signal_within_a_cell_ends_the_kernel_too(
    small: Facts, out: Path, gather: Callable[[str], None]
) -> None:
    gather(f"import os, time; os.kill({os.getpid()}, 2); time.sleep(600)")
    with pytest.raises(KeyboardInterrupt):
        write_notebook(small, out / "report.ipynb", store=STORE)
    assert not list(out.iterdir())


def test_classes_of_similar_size_are_described_as_such(
    facts: Facts, facts_all_right: Facts
) -> None:
    prose = _prose(build_notebook(facts_all_right, store=STORE))
    assert "All classes have the same number of training images, 10." in prose
    assert "largest class" not in prose
    assert "largest class" in _prose(build_notebook(facts, store=STORE))


def test_singular_is_used_for_one_of_something(facts_all_right: Facts) -> None:
    prose = _prose(build_notebook(facts_all_right, store=STORE))
    assert "networks of 1 family: plain." in prose
    assert "of the family plain took" in prose
    assert not re.search(r"\b1 (classes|epochs|families|images|layers|trials)\b", prose)


def test_text_says_why_scores_have_no_interval(facts: Facts, facts_all_right: Facts) -> None:
    said = "All predictions are correct, so no interval can be given"
    assert said in _prose(build_notebook(facts_all_right, store=STORE))
    assert said not in _prose(build_notebook(facts, store=STORE))

"""`report`: write the results of a study as files, from its store alone."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any

from analysis.report.facts import Facts
from search.data import Progress
from search.errors import TrialRecordError, WeightsNotFoundError
from search.evaluation.confirm import recover_with_confirmation
from search.evaluation.test_split_use import TEST, WinnerPredictor
from search.evaluation.trained_network import Evaluator
from search.exported_models.archive import MODEL
from search.reports.gather_facts import FactsGatherer
from search.reports.output_folder import REPORT_FILES, check_folder, make_report_folder
from search.settings.store_url import store_url
from search.studies.open_study import OpenStudy
from spaces import SpaceError
from storage import Store, absolute_store_url, shareable_store_url

COMMAND = "convsearch report"
STORE_VARIABLE = "CONVSEARCH_STORE"


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """A written report: its folder, files and facts, and the problems on the way."""

    folder: Path
    files: tuple[Path, ...]
    facts: Facts
    problems: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the document of `report --json`."""
        return {
            "study": self.facts.study,
            "folder": str(self.folder),
            "files": [path.name for path in self.files],
            "is_partial": self.facts.is_partial,
            "test_uses": [asdict(use) for use in self.facts.test_uses],
            "problems": list(self.problems),
        }


def report(
    store: str | None,
    study: str,
    out: Path | str,
    *,
    opens_test: bool | None = None,
    is_forced: bool = False,
    lang: str = "en",
    with_names: bool = False,
    trust_modules: bool = False,
    progress: Progress | None = None,
    on_step: Callable[[str], None] = lambda _: None,
    on_score: Callable[[], None] = lambda: None,
) -> WrittenReport:
    """Write the report of a study into a folder.

    Args:
        store: URL of the store; `$CONVSEARCH_STORE` or `sqlite:///convsearch.db` by default.
        study: The study's name.
        out: The folder; created if it does not exist.
        opens_test: Whether the winner is scored on the test split; by default if the study is
            over. Stored predictions are always shown.
        is_forced: Whether files of an earlier report in the folder are replaced.
        lang: Language of the texts: `en` or `ru`.
        with_names: Whether the report has the names of excluded files.
        trust_modules: Whether to run the modules that the study names for families of users.
        progress: Called with the number of steps done.
        on_step: Called with the description of a step when it begins.
        on_score: Called before the winner predicts the test split.

    Raises:
        NoResultError: If no trial of the study is complete.
        SettingsError: If the folder is not empty, or not a folder.
        ReportError: If a file cannot be written, or the notebook does not run.
        StoreError: If the store cannot be used, or has no such study.
        SearchError, SpaceError: If its images, weights or modules are not available.
    """
    from analysis.report.write import write_report

    out, url, steps = Path(out), store_url(store), _StepProgress(progress, on_step)
    check_folder(out, is_forced=is_forced)
    with ExitStack() as stack:
        with Store.open(url, create=False) as opened:
            recover_with_confirmation(opened, study)
            gatherer = FactsGatherer.load(opened, study, trust_modules=trust_modules)
            if opens_test is None:
                opens_test = gatherer.is_final
            predictor = WinnerPredictor(opened, gatherer.winner, COMMAND)
            stack.enter_context(make_report_folder(out))
            problem = _evaluate_winner(predictor, out, steps, on_score, opens_test=opens_test)
            steps.begin(2)
            facts = gatherer.facts(with_names=with_names, caution_kind=_caution_kind(problem))
        if store is not None:
            facts = _with_store(facts, shareable_store_url(url, Path.cwd()))
        steps.begin(3)
        write_report(
            facts,
            out,
            store=shareable_store_url(url, out),
            lang=lang,
            environment={STORE_VARIABLE: absolute_store_url(url)},
            progress=progress,
        )
    steps.count(len(STEPS))
    files = tuple(out / name for name in REPORT_FILES if (out / name).exists())
    return WrittenReport(out, files, facts, () if problem is None else (str(problem),))


def _with_store(facts: Facts, seen: str) -> Facts:
    """Add the store to the command that trains the winner again."""
    command = f"{facts.winner.command} --store {quote(seen)}"
    return replace(facts, winner=replace(facts.winner, command=command))


def _caution_kind(problem: Exception | None) -> str | None:
    """Return the kind of caution for a winner that is not available."""
    if problem is None:
        return None
    return "no_weights" if isinstance(problem, WeightsNotFoundError) else "no_model"


def _evaluate_winner(
    predictor: WinnerPredictor,
    out: Path,
    steps: "_StepProgress",
    on_score: Callable[[], None],
    *,
    opens_test: bool,
) -> Exception | None:
    """Save the winner and its predictions on the splits; return the error if that fails."""
    winner = predictor.winner
    try:
        with Evaluator(OpenStudy.load(predictor.store, winner.study), winner.number) as network:
            steps.begin(0)
            predictor.predictions("val", network)
            if opens_test:
                if predictor.load_stored(TEST) is None:
                    on_score()
                predictor.predictions(TEST, network)
            steps.begin(1)
            network.save_model(out / MODEL)
    except (TrialRecordError, SpaceError) as error:
        return error
    return None


STEPS = (
    "Evaluating the winner on the validation images",
    "Saving the winner as a model",
    "Reading the study",
    "Writing the page, the notebook and the data",
)


@dataclass(frozen=True, slots=True)
class _StepProgress:
    """Progress over the steps of writing a report."""

    progress: Progress | None
    on_step: Callable[[str], None]

    def begin(self, step: int) -> None:
        """Report the start of a step."""
        self.count(step)
        self.on_step(STEPS[step])

    def count(self, n_done: int) -> None:
        """Report the number of steps that are done."""
        if self.progress is not None:
            self.progress(n_done, len(STEPS), "steps of the report")

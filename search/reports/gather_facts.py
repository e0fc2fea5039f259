"""Gathering the facts of a report from a study; no network is run."""

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from shlex import quote

from optuna.trial import FrozenTrial

from analysis import RankedTrial, Ranking, StudyStatus, load_status, rank
from analysis.confirmation.comparison import Confirmation
from analysis.confirmation.trainings import Trainings
from analysis.report.cautions import add_cautions
from analysis.report.facts import (
    Caution,
    DataFacts,
    Facts,
    SearchFacts,
    SplitEvaluation,
    WinnerFacts,
)
from search.errors import SettingsError
from search.evaluation.confirm import load_comparison
from search.evaluation.model_selection import Winner, choose_winner, find_winner
from search.evaluation.test_split_use import WinnerPredictor, load_test_uses
from search.reports.dataset_facts import describe_images
from search.reports.example_images import examine_predictions
from search.settings.store_url import store_url
from search.strategy.family_quota import MAX_EPOCHS
from search.studies.compatibility import package_versions
from search.studies.open_study import OpenStudy
from search.workers.study_session import RAN_ON
from spaces import Config, DrawnLayer, draw_network
from spaces.parameters.narrowing import describe_domains
from storage import EpochRow, Store, TrialRow, load_curves, load_study, load_trials
from storage.optuna_internals import trial_id_of

N_CURVES = 10
"""Number of best trials whose curves are shown."""
SPLITS = ("val", "test")


def gather_facts(
    store: Store | str | None,
    study: str,
    *,
    winner: tuple[str, int] | None = None,
    with_names: bool = False,
    trust_modules: bool = False,
) -> Facts:
    """Gather the facts of a study's report from its store.

    Predictions are those stored by `confirm` or `report`: no network is run on the test split.

    Args:
        store: A store or its URL; `$CONVSEARCH_STORE` or `sqlite:///convsearch.db` by default.
        study: The study's name.
        winner: Study and number of the winner's trial, by default the current one; a notebook
            names the one it was written for.
        with_names: Whether the facts have the names of excluded files.
        trust_modules: Whether to run the modules that the study names for families of users.

    Raises:
        NoResultError: If no trial of the study is complete.
        TrialRecordError: If the named winner does not exist any more.
        StudyNotFoundError: If there is no such study.
        SearchError, SpaceError: If its images, weights or modules are not available.
    """
    if isinstance(store, Store):
        gatherer = FactsGatherer.load(store, study, winner, trust_modules=trust_modules)
        return gatherer.facts(with_names=with_names)
    with Store.open(store_url(store), create=False) as opened:
        return gather_facts(
            opened, study, winner=winner, with_names=with_names, trust_modules=trust_modules
        )


@dataclass
class FactsGatherer:
    """The facts of a study, each read once."""

    opened: OpenStudy
    named_winner: tuple[str, int] | None = None

    @classmethod
    def load(
        cls,
        store: Store,
        study: str,
        winner: tuple[str, int] | None = None,
        *,
        trust_modules: bool = False,
    ) -> "FactsGatherer":
        """Open a study; `trust_modules` allows to run modules that it names.

        Raises:
            SettingsError: If it is a confirmation, which is reported with the study it confirms.
            StudyNotFoundError, SearchError, SpaceError: As `OpenStudy.load` raises.
        """
        opened = OpenStudy.load(store, study, trust_modules=trust_modules)
        if opened.is_confirmation:
            raise SettingsError(
                f"{study} only trains configs of {opened.settings.confirms} again: report that "
                "study, which includes both."
            )
        return cls(opened, winner)

    def facts(self, *, with_names: bool = False, caution_kind: str | None = None) -> Facts:
        """Return the facts, optionally with names of excluded files.

        `caution_kind` is the kind of the first caution, if the winner is not available.

        Raises:
            NoResultError: If no trial of the study is complete.
        """
        from analysis.report.figures import importance_of

        trials = tuple(map(_without_hosts, self.opened.study.get_trials(deepcopy=False)))
        facts = add_cautions(
            Facts(
                study=self.opened.name,
                is_partial=not self.is_final,
                data=self.load_dataset_facts(with_names=with_names),
                search=self._search(),
                ranking=self.ranking if with_names else _redact_failures(self.ranking),
                trials=trials,
                winner=self._winner(),
                curves=self._curves(trials),
                importance=importance_of(trials),
                confirmation=self.confirmation if self._is_confirmed else None,
                examined=dict(self._examined()),
                test_uses=load_test_uses(self.opened),
                is_search_over=self.status.is_over,
                lost_trials=self._lost,
            )
        )
        if caution_kind is None:
            return facts
        missing = Caution(
            caution_kind, {"trial": self.winner.number} if caution_kind == "no_weights" else {}
        )
        return replace(facts, cautions=(missing, *facts.cautions))

    @cached_property
    def status(self) -> StudyStatus:
        """The status of the study."""
        return load_status(self.opened.store, self.opened.name)

    @cached_property
    def ranking(self) -> Ranking:
        """The study's trials, best first."""
        return rank(self.opened.store, self.opened.name)

    @cached_property
    def _confirmation_state(self) -> tuple[Trainings | None, Confirmation | None]:
        return load_comparison(self.opened)

    @property
    def confirmation(self) -> Confirmation | None:
        """The comparison of its best configs over seeds, if they were trained again."""
        return self._confirmation_state[1]

    @property
    def _is_confirmed(self) -> bool:
        trainings = self._confirmation_state[0]
        is_named = self.named_winner is not None and self.named_winner[0] != self.opened.name
        return trainings is not None and (trainings.is_over or is_named)

    @property
    def is_final(self) -> bool:
        """Whether search and confirmation are over, so that the winner is final."""
        trainings = self._confirmation_state[0]
        return self.status.is_over and (trainings is None or trainings.is_over)

    @property
    def _lost(self) -> tuple[int, ...]:
        trainings = self._confirmation_state[0]
        return () if trainings is None else trainings.failed_configs

    @cached_property
    def winner(self) -> Winner:
        """The network that is exported: the named one, or the current winner.

        Raises:
            NoResultError: If no trial of the study is complete.
            TrialRecordError: If the named one does not exist any more.
        """
        if self.named_winner is not None:
            return find_winner(self.ranking, self._confirmation_state[0], *self.named_winner)
        return choose_winner(self.ranking, *self._confirmation_state)

    def load_dataset_facts(self, *, with_names: bool = False) -> DataFacts:
        """Return facts about the study's images, optionally with names of excluded files."""
        return describe_images(self.opened.settings, self.opened.data, with_names=with_names)

    def _search(self) -> SearchFacts:
        settings, record = self.opened.settings, self.status.record
        rows = load_trials(self.opened.store, self.opened.study_id)
        return SearchFacts(
            families=self.opened.space.families,
            space=describe_domains(settings.space["domains"]),
            sampler=settings.search.sampler,
            pruner=settings.search.pruner,
            seed=settings.search.seed,
            n_trials=record.n_trials,
            timeout_s=record.timeout_s,
            active_s=record.active_s,
            machine_s=sum(row.curve.seconds for row in rows),
            counts=self.status.counts,
            n_epochs=sum(row.curve.n_epochs for row in rows),
            epochs_saved_by_pruner=_count_saved_epochs(rows, "pruned"),
            epochs_saved_by_patience=_count_saved_epochs(rows, "complete"),
            settings=settings.training.rules(),
            versions={
                "convsearch": settings.version,
                "optuna": settings.optuna or "",
                **(settings.versions or package_versions()),
            },
        )

    def _winner(self) -> WinnerFacts:
        winner = self.winner
        study_id = load_study(self.opened.store, winner.study).study_id
        row = next(
            row for row in load_trials(self.opened.store, study_id) if row.number == winner.number
        )
        found = next(it for it in self.ranking.trials if it.trial == winner.trial)
        trust = " --trust-modules" if self.opened.settings.modules else ""
        return WinnerFacts(
            trial=found,
            source=winner.study,
            source_trial=winner.number,
            val_accuracy=winner.val_accuracy,
            curve=tuple(load_curves(self.opened.store, study_id).get(row.trial_id, ())),
            best_epoch=row.curve.best_epoch or 0,
            layers=self._layers(found),
            command=f"convsearch reproduce {quote(winner.study)} {winner.number}{trust}",
        )

    def _layers(self, trial: RankedTrial) -> tuple[DrawnLayer, ...]:
        config = Config.from_json(trial.config)
        images = self.opened.data_of(config.family)
        return draw_network(config, images.image_shape, images.n_classes)

    def _curves(self, trials: tuple[FrozenTrial, ...]) -> Mapping[int, tuple[EpochRow, ...]]:
        ids = {trial.number: trial_id_of(trial) for trial in trials}
        curves = load_curves(self.opened.store, self.opened.study_id)
        best = [it.trial for it in self.ranking.complete[:N_CURVES]]
        return {number: tuple(curves.get(ids[number], ())) for number in best}

    def _examined(self) -> Iterator[tuple[str, SplitEvaluation]]:
        predictor = WinnerPredictor(self.opened.store, self.winner, "")
        family = next(it.family for it in self.ranking.trials if it.trial == self.winner.trial)
        images = self.opened.data_of(family)
        for split in SPLITS:
            predictions = predictor.load_stored(split)
            if predictions is not None:
                yield split, examine_predictions(predictions, images)


def _redact_failures(ranking: Ranking) -> Ranking:
    """Reduce failures to the kind of exception: messages may name files and people."""
    trials = (
        replace(it, reason=it.reason.partition(":")[0]) if it.kind == "fail" else it
        for it in ranking.trials
    )
    return replace(ranking, trials=tuple(trials))


def _without_hosts(trial: FrozenTrial) -> FrozenTrial:
    """Remove the names of the machines that ran a trial: they are private."""
    if RAN_ON not in trial.user_attrs:
        return trial
    discreet = copy(trial)  # The original is Optuna's own.
    discreet.user_attrs = {k: v for k, v in trial.user_attrs.items() if k != RAN_ON}
    return discreet


def _count_saved_epochs(rows: list[TrialRow], kind: str) -> int:
    """Count the epochs that trials with some outcome did not use."""
    return sum(
        max(0, row.attributes.get(MAX_EPOCHS, row.curve.n_epochs) - row.curve.n_epochs)
        for row in rows
        if row.kind == kind
    )

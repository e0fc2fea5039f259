"""Predictions of the winner, made once and stored; each use of the test split is logged first."""

from dataclasses import dataclass
from datetime import UTC, datetime

from analysis.report.facts import TestUse
from search.errors import StudyMismatchError
from search.evaluation.model_selection import Winner
from search.evaluation.trained_network import Evaluator
from search.settings.stored import StudySettings
from search.studies.open_study import OpenStudy
from search.trainer.predictions import SplitPredictions
from storage import (
    Store,
    StudyNotFoundError,
    list_test_uses,
    load_predictions,
    load_study,
    record_test_use,
    save_predictions,
)

TEST = "test"


@dataclass(frozen=True, slots=True)
class WinnerPredictor:
    """Predictions of the winner of a study on its splits, kept in the store.

    `command` is what is logged as the user of the test split.
    """

    store: Store
    winner: Winner
    command: str

    def load_stored(self, split: str) -> SplitPredictions | None:
        """Return the stored predictions; None if there are none, or they are damaged."""
        try:
            study_id = load_study(self.store, self.winner.study).study_id
        except StudyNotFoundError:
            return None
        data = load_predictions(self.store, study_id, self.winner.number, split)
        try:
            return None if data is None else SplitPredictions.from_bytes(data)
        except ValueError:
            return None

    def predictions(self, split: str, network: Evaluator) -> SplitPredictions:
        """Return the predictions on `val` or `test`, from the store or from the winner's network.

        Raises:
            TrialRecordError: If the winner's weights are not kept, or it cannot be rebuilt.
            SearchError, SpaceError: If images, weights or modules are not available.
        """
        known = self.load_stored(split)
        if known is not None:
            return known
        network.prepare()  # It may fail, so it comes before the use is logged.
        if split == TEST:
            record_test_use(
                self.store,
                network.data.fingerprint,
                study=self.winner.study,
                trial_number=self.winner.number,
                creation=network.opened.settings.creation,
                command=self.command,
            )
        found = network.predict(split)
        study_id = network.opened.study_id
        save_predictions(self.store, study_id, self.winner.number, split, found.to_bytes())
        return found


def load_test_uses(opened: OpenStudy) -> tuple[TestUse, ...]:
    """Load the logged uses of the test split of a study's images, by any study."""
    prints = {images.fingerprint for images in opened.settings.images.values()}
    return tuple(
        TestUse(
            at=datetime.fromtimestamp(use.used_at, UTC).isoformat(timespec="seconds"),
            by=use.command,
            study=use.study,
            trial=use.trial_number,
            is_of_deleted=_creation_of(opened.store, use.study) != use.creation,
        )
        for use in list_test_uses(opened.store, prints)
    )


def _creation_of(store: Store, study: str) -> str | None:
    """Return the creation id of a study; None if there is no such study."""
    try:
        return StudySettings.load(store, study).creation
    except (StudyNotFoundError, StudyMismatchError):
        return None

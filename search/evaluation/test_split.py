"""Scoring the winner: its answers on a split are had once, and kept in the store.

That somebody looks at the test split is recorded before it happens, so that nobody can look and
leave no trace.
"""

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
    """Has the winner of a study answer on splits.

    Attributes:
        store: Where answers are kept.
        winner: Whose answers.
        command: What asks for them, as the record of the test split's uses names it.
    """

    store: Store
    winner: Winner
    command: str

    def load_stored(self, split: str) -> SplitPredictions | None:
        """Return the answers that are kept; None where there are none, or they cannot be read."""
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
        """Return the answers, from the store or from the network.

        Args:
            split: `val` or `test`.
            network: The winner's.

        Raises:
            TrialRecordError: If the winner's weights are not kept, or it cannot be built again.
            SearchError, SpaceError: If images, weights or modules cannot be had.
        """
        known = self.load_stored(split)
        if known is not None:
            return known
        network.prepare()  # Before the record of a look that might never happen.
        if split == TEST:
            self._record_use(network)
        found = network.predict(split)
        study_id = network.opened.study_id
        save_predictions(self.store, study_id, self.winner.number, split, found.to_bytes())
        return found

    def _record_use(self, network: Evaluator) -> None:
        record_test_use(
            self.store,
            network.data.fingerprint,
            study=self.winner.study,
            trial_number=self.winner.number,
            creation=network.opened.settings.creation,
            command=self.command,
        )


def load_test_uses(opened: OpenStudy) -> tuple[TestUse, ...]:
    """Return every recorded use of the test split of a study's images, by whatever study."""
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
    """Return what tells a study from others of its name; None where there is none of that name."""
    try:
        return StudySettings.read(load_study(store, study).settings).creation
    except (StudyNotFoundError, StudyMismatchError):
        return None

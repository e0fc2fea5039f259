"""Choice of the network that `confirm` scores and `report` exports, by validation accuracy."""

from dataclasses import dataclass

from analysis import Ranking
from analysis.confirmation.comparison import Confirmation
from analysis.confirmation.trainings import Trainings
from analysis.confirmation_study import confirmation_name
from search.errors import NoResultError, TrialRecordError


@dataclass(frozen=True, slots=True)
class Winner:
    """The network that is exported.

    `trial` is the search's trial with its config; `study` and `number` identify the trial with its
    weights, in the search or its confirmation.
    """

    trial: int
    study: str
    number: int
    val_accuracy: float


def find_winner(ranking: Ranking, trainings: Trainings | None, study: str, number: int) -> Winner:
    """Return a trial of the search or of its confirmation as the winner.

    Raises:
        TrialRecordError: If it does not exist, or is not complete.
    """
    if study == ranking.study:
        for it in ranking.complete:
            if it.trial == number:
                return Winner(number, study, number, it.val_accuracy or 0.0)
    elif trainings is not None and study == confirmation_name(ranking.study):
        for training in trainings.trainings:
            if training.number == number and training.value is not None:
                return Winner(training.trial, study, number, training.value)
    raise TrialRecordError(
        f"Trial {number} of {study} does not exist any more, or was not trained to its end: "
        "gather facts without naming a winner to get the current one."
    )


def choose_winner(
    ranking: Ranking, trainings: Trainings | None, confirmation: Confirmation | None
) -> Winner:
    """Choose the recommended config of a finished confirmation, or the best of the ranking.

    Of a recommended config, the training of median accuracy is chosen, which is not optimistic.

    Raises:
        NoResultError: If no trial of the study is complete.
    """
    if trainings is not None and confirmation is not None and trainings.is_over:
        trial = confirmation.recommended.trial
        median = trainings.median(trial)
        name = confirmation_name(ranking.study)
        return Winner(trial, name, median.number, median.value or 0.0)
    if not ranking.complete:
        raise NoResultError(
            f"No trial of {ranking.study} is complete yet, so there is no result to show. "
            f"`convsearch status {ranking.study}` shows how far it is."
        )
    best = ranking.complete[0]
    return Winner(best.trial, ranking.study, best.trial, best.val_accuracy or 0.0)

"""Which config a confirmation recommends, in a sentence."""

from typing import TYPE_CHECKING

from analysis.confirmation.comparison import Confirmation
from analysis.confirmation.trainings import Trainings
from analysis.formatting import format_accuracy, plural

if TYPE_CHECKING:
    from analysis.results.status import StudyStatus


def describe_recommendation(found: Confirmation, trainings: Trainings) -> str:
    """Say which config to take, or how far it is until that can be said."""
    if trainings.is_over:
        return _recommend(found)
    left = f"{plural(trainings.n_left, 'training')} left"
    if not trainings.has_enough_seeds:
        return f"So far: trial {found.leader.trial} leads, too few trainings to recommend; {left}."
    return f"So far, with {left}: {_recommend(found)}"


def _recommend(found: Confirmation) -> str:
    best = found.recommended
    equals = [it for it in found.standings if not it.is_separable and it is not best]
    if len(found.standings) == 1:
        return f"Recommended: trial {best.trial}, the only one that was trained again."
    if not equals:
        return f"Recommended: trial {best.trial}, told apart from all others."
    names = ", ".join(str(it.trial) for it in equals)
    why = {
        "leader": "",
        "smaller": ", smaller than the leader",
        "steadier": ", of which no training failed",
    }
    return f"Recommended: trial {best.trial}{why[found.reason]}. Not separable: {names}."


def describe_leading(status: "StudyStatus") -> str:
    """Say which config leads a confirmation so far."""
    found = status.leading
    if found is None:
        return "no config has two values yet"
    mean = format_accuracy(found.mean)
    return f"leading mean {mean} of trial {found.trial} ({plural(found.n_seeds, 'seed')})"

"""Importance of parameters for the validation accuracy of trials."""

import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import optuna
import plotly.graph_objects as go
from optuna.importance import get_param_importances
from optuna.trial import FrozenTrial, TrialState

from analysis.report.facts import SearchResults
from analysis.report.figures import theme
from analysis.report.texts import NO_BREAK_SPACE, texts

MIN_TRIALS = 8
"""Minimum number of trials for an estimate, in all and with a parameter."""
MAX_TRIALS = 1000
"""Maximum number of trials used; more take longer and change little."""
MAX_BARS = 15
PERCENT = f"{NO_BREAK_SPACE}%"


def plot_importance(facts: SearchResults, *, lang: str = "en") -> go.Figure:
    """Draw the importance of parameters, as shares, the largest on top."""
    say = texts(lang).say
    shown = list(facts.importance.items())[:MAX_BARS][::-1]
    figure = theme.new_figure(
        say("importance.title"), x=say("axis.importance"), lang=lang, height=120 + 26 * len(shown)
    )
    figure.add_bar(
        x=[theme.round_coordinate(100 * share) for _, share in shown],
        y=[theme.escape_label(name) for name, _ in shown],
        orientation="h",
        marker={"color": theme.BLUE},
        texttemplate=f"%{{x:.0f}}{PERCENT}",
        textposition="outside",
        cliponaxis=False,
        hovertemplate=f"%{{y}}: %{{x:.1f}}{PERCENT}<extra></extra>",
    )
    largest = max((share for _, share in shown), default=1.0)
    figure.update_xaxes(ticksuffix=PERCENT, range=[0, 120 * largest])
    figure.update_yaxes(type="category", title_text="")
    return figure


def importance_of(
    trials: Sequence[FrozenTrial], *, direction: Literal["maximize", "minimize"] = "maximize"
) -> dict[str, float]:
    """Return the importance of each parameter, the largest first; it adds up to 1.

    Only complete trials are compared, at most the newest `MAX_TRIALS` of them. A parameter that
    only some trials have is compared among those, if they are `MIN_TRIALS` or more. The result is
    empty if there are too few trials, or if all have the same value.

    Source: Watanabe et al., "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in
        Arbitrary Subspaces", https://arxiv.org/abs/2304.10255.
    """
    complete = [
        it
        for it in trials
        if it.state == TrialState.COMPLETE and it.value is not None and it.params
    ][-MAX_TRIALS:]
    if len(complete) < MIN_TRIALS or len({it.value for it in complete}) < 2:
        return {}
    with _silence_optuna():
        study = optuna.create_study(direction=direction)
        study.add_trials(complete)
        try:
            found = get_param_importances(study)
        except (ValueError, RuntimeError):  # Raised by Optuna for spaces that it cannot evaluate.
            return {}
    counts = Counter(name for it in complete for name in it.params)
    kept = {name: float(share) for name, share in found.items() if counts[name] >= MIN_TRIALS}
    total = sum(kept.values())
    if not total > 0:
        return {}
    return {name: share / total for name, share in sorted(kept.items(), key=lambda it: -it[1])}


@contextmanager
def _silence_optuna() -> Iterator[None]:
    """Suppress Optuna's messages about the study in memory and parameters with few trials."""
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        logger.setLevel(level)

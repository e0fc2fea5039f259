"""The end of the story: what was found, in short, and everything that speaks against it."""

from collections.abc import Iterable

from analysis.confirmation.comparison import Standing
from analysis.report.notebook.cell_writer import Teller, fenced, listed

TOLD_ANYWAY = frozenset({"unconfirmed", "no_test", "not_separable", "searched_after_confirm"})
"""Cautions that the conclusion tells in sentences of its own."""


def tell_conclusion(teller: Teller) -> None:
    """Tells what was found, and everything that speaks against it."""
    facts, winner = teller.facts, teller.facts.winner
    cautions = [teller.caution(it) for it in facts.cautions if it.kind not in TOLD_ANYWAY]
    teller.tell(
        teller.say("conclusion.title"),
        teller.say("partial") if facts.is_partial else "",
        teller.say("conclusion.winner", **teller.winner, val=teller.val),
        *_confirmed(teller),
        teller.on_test("conclusion.test", "conclusion.no_test"),
        teller.say("conclusion.cautions") if cautions else "",
        listed(cautions) or ("" if facts.cautions else teller.say("conclusion.no_cautions")),
        teller.say("reading.clinical_about"),
        teller.say("conclusion.again"),
        fenced(winner.command),
    )


def _confirmed(teller: Teller) -> Iterable[str]:
    facts, confirmation = teller.facts, teller.facts.confirmation
    if confirmation is None or not facts.winner.is_confirmed:
        yield teller.say("conclusion.unconfirmed")
        return
    number = facts.winner.trial.trial
    standings = {it.trial: it for it in confirmation.standings}
    yield _standing(teller, standings.get(number, confirmation.recommended))
    equal = [it.trial for it in standings.values() if not it.is_separable and it.trial != number]
    if equal:
        yield teller.count("conclusion.equal", len(equal), trials=", ".join(map(str, equal)))
    else:
        yield teller.say("conclusion.separable" if len(standings) > 1 else "conclusion.alone")
    if any(it.kind == "searched_after_confirm" for it in facts.cautions):
        yield teller.say("conclusion.searched_on")


def _standing(teller: Teller, standing: Standing) -> str:
    if standing.deviation is None:
        return teller.say("conclusion.confirmed_once", n=standing.n_seeds)
    return teller.say(
        "conclusion.confirmed",
        n=standing.n_seeds,
        mean=teller.phrases.accuracy(standing.mean),
        deviation=teller.phrases.accuracy(standing.deviation),
        chance=teller.page.percent(standing.chance, 0),
    )

"""Conclusion of the notebook: the result in short, and all cautions about it."""

from collections.abc import Iterable

from analysis.confirmation.comparison import Standing
from analysis.report.notebook.cell_writer import CellWriter, bullet_list, code_block

CAUTIONS_IN_TEXT = frozenset({"unconfirmed", "no_test", "not_separable", "searched_after_confirm"})
"""Cautions that the conclusion has its own sentences for."""


def write_conclusion(writer: CellWriter) -> None:
    """Write the result in short, and all cautions about it."""
    facts, winner = writer.facts, writer.facts.winner
    cautions = [writer.caution(it) for it in facts.cautions if it.kind not in CAUTIONS_IN_TEXT]
    writer.add_text(
        writer.say("conclusion.title"),
        writer.say("partial") if facts.is_partial else "",
        writer.say("conclusion.winner", **writer.winner, val=writer.val),
        *_confirmed(writer),
        writer.on_test("conclusion.test", "conclusion.no_test"),
        writer.say("conclusion.cautions") if cautions else "",
        bullet_list(cautions) or ("" if facts.cautions else writer.say("conclusion.no_cautions")),
        writer.say("reading.clinical_about"),
        writer.say("conclusion.again"),
        code_block(winner.command),
    )


def _confirmed(writer: CellWriter) -> Iterable[str]:
    facts, confirmation = writer.facts, writer.facts.confirmation
    if confirmation is None or not facts.winner.is_confirmed:
        yield writer.say("conclusion.unconfirmed")
        return
    number = facts.winner.trial.trial
    standings = {it.trial: it for it in confirmation.standings}
    yield _standing(writer, standings.get(number, confirmation.recommended))
    equal = [it.trial for it in standings.values() if not it.is_separable and it.trial != number]
    if equal:
        yield writer.count("conclusion.equal", len(equal), trials=", ".join(map(str, equal)))
    else:
        yield writer.say("conclusion.separable" if len(standings) > 1 else "conclusion.alone")
    if any(it.kind == "searched_after_confirm" for it in facts.cautions):
        yield writer.say("conclusion.searched_on")


def _standing(writer: CellWriter, standing: Standing) -> str:
    if standing.deviation is None:
        return writer.say("conclusion.confirmed_once", n=standing.n_seeds)
    return writer.say(
        "conclusion.confirmed",
        n=standing.n_seeds,
        mean=writer.phrases.accuracy(standing.mean),
        deviation=writer.phrases.accuracy(standing.deviation),
        chance=writer.page.percent(standing.chance, 0),
    )

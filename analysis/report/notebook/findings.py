"""The second half of the story: what was found, and how sure it is."""

from collections.abc import Iterator

from analysis.confirmation.comparison import Confirmation
from analysis.report.facts import Examination
from analysis.report.notebook.cell_writer import Teller, listed, plain
from analysis.results.classification_metrics import OVERALL, Evaluation, Score

N_TOP = 10


def tell_results(teller: Teller) -> None:
    """Tells of the families, the ranking and the winner, and how good it is."""
    teller.tell(teller.say("results.title"), teller.say("results.families"), _families(teller))
    teller.show("families_table")
    teller.show("plot_families")
    teller.tell(teller.say("results.ranking"), teller.say("results.ranking_about"))
    teller.show("ranking_table", "facts", f"n={N_TOP}")
    if teller.facts.curves:
        teller.tell(teller.say("top_curves.about"))
        teller.show("plot_top_curves")
    _tell_winner(teller)
    _tell_confirmation(teller)
    _tell_examination(teller)


def _families(teller: Teller) -> str:
    best = [it for it in teller.facts.ranking.families if it.val_accuracy is not None]
    if not best:
        return teller.say("results.no_family")
    values: dict[str, object] = {
        "value": teller.phrases.accuracy(best[0].val_accuracy),
        "family": plain(best[0].family),
    }
    if len(best) == 1:
        return teller.say("results.best_family", **values)
    values["second"] = plain(best[1].family)
    values["second_value"] = teller.phrases.accuracy(best[1].val_accuracy)
    return teller.say("results.best_two", **values)


def _tell_winner(teller: Teller) -> None:
    winner = teller.facts.winner
    source = "result.winner_confirmed" if winner.is_confirmed else "result.winner_search"
    values = {**teller.winner, "val": teller.val}
    if winner.is_confirmed:
        values["source_trial"] = str(winner.source_trial)
    n = winner.trial.parameters
    teller.tell(
        teller.say("results.winner"),
        teller.say(source, **values),
        teller.say("results.size_unknown") if n is None else teller.count("results.size", n),
    )
    teller.show("winner_table")
    if winner.layers:
        teller.tell(teller.count("results.layers", len(winner.layers)))
        teller.show("layers_table")
    else:
        teller.tell(teller.say("result.no_layers"))
    _tell_curve(teller)


def _tell_curve(teller: Teller) -> None:
    winner = teller.facts.winner
    if not winner.curve:
        teller.tell(teller.say("curves.none"))
        return
    second = next((row.epoch for row in winner.curve if row.phase == 2), None)
    teller.tell(
        "" if second is None else teller.say("curves.two_phases", epoch=second),
        teller.say("curves.about", epoch=winner.best_epoch),
    )
    teller.show("plot_learning_curves")


def _tell_confirmation(teller: Teller) -> None:
    confirmation = teller.facts.confirmation
    teller.tell(
        teller.say("results.sure"),
        teller.say("sure.none") if confirmation is None else _recommended(teller, confirmation),
        teller.on_test("sure.val_test_about", "sure.no_test"),
    )
    if confirmation is not None:
        teller.show("confirmation_table")
        teller.tell(teller.say("confirmation.about"))
        teller.show("plot_confirmation", "facts.confirmation")


def _recommended(teller: Teller, confirmation: Confirmation) -> str:
    leader, best = confirmation.leader.trial, confirmation.recommended.trial
    if leader == best:
        return teller.say("sure.recommended_leader", trial=str(best))
    key = f"sure.recommended_{confirmation.reason}"
    return teller.say(key, leader=str(leader), trial=str(best))


def _tell_examination(teller: Teller) -> None:
    examined = teller.facts.examined
    split = next((it for it in ("test", "val") if it in examined), None)
    if split is None:
        teller.tell(teller.say("results.test"), teller.say("test.none"))
        return
    _tell_scores(teller, examined[split])
    for figure, key in (
        ("plot_confusion", "confusion.about"),
        ("plot_roc", "roc.about"),
        ("plot_precision_recall", "precision_recall.about"),
    ):
        teller.tell(teller.say(key))
        teller.show(figure, "examined.evaluation")
    error = teller.phrases.score(examined[split].evaluation.calibration_error)
    about = teller.say("calibration.about")
    teller.tell(teller.say("results.calibration", error=error, about=about))
    teller.show("plot_calibration", "examined.evaluation")
    _tell_pictures(teller, examined[split])


def _tell_scores(teller: Teller, examination: Examination) -> None:
    evaluation, score = examination.evaluation, teller.phrases.score
    is_test = examination.split == "test"
    images = teller.count("count.images", evaluation.n)
    n_groups = evaluation.n_groups
    teller.tell(
        teller.say("results.test" if is_test else "results.val"),
        teller.say("test.about" if is_test else "test.about_val", images=images),
        "" if n_groups is None else teller.count("count.groups", n_groups),
        teller.say(
            "results.scores",
            accuracy=score(evaluation.accuracy.value),
            balanced=score(evaluation.balanced_accuracy.value),
            f1=score(evaluation.macro_f1.value),
            auc=score(evaluation.macro_auc.value),
            **teller.scored(evaluation.accuracy),
        ),
        _weakest(teller, examination),
        teller.phrases.no_interval(evaluation.accuracy, _scores(evaluation)),
        _uses(teller),
    )
    split = f'"{examination.split}"'
    teller.run(f"examined = facts.examined[{split}]")
    teller.show("scores_table", "facts", split)
    teller.show("class_scores_table", "facts", split)


def _scores(evaluation: Evaluation) -> Iterator[Score]:
    yield from (getattr(evaluation, name) for name in OVERALL)
    yield from (it.auc for it in evaluation.classes)


def _weakest(teller: Teller, examination: Examination) -> str:
    classes = [it for it in examination.evaluation.classes if it.n]
    if len(classes) < 2:
        return ""
    weakest = min(classes, key=lambda it: it.sensitivity.value)
    return teller.say(
        "results.weakest",
        name=plain(weakest.name),
        value=teller.phrases.score(weakest.sensitivity.value),
        images=teller.count("count.images", weakest.n),
        **teller.scored(weakest.sensitivity),
    )


def _uses(teller: Teller) -> str:
    uses = [
        teller.say(
            "test.use",
            at=teller.phrases.moment(it.at),
            by=plain(it.by),
            trial=str(it.trial),
            study=plain(it.study),
        )
        for it in teller.facts.test_uses
    ]
    return f"{teller.say('results.uses')}\n\n{listed(uses)}" if uses else ""


def _tell_pictures(teller: Teller, examination: Examination) -> None:
    if not examination.mistakes:
        teller.tell(teller.say("test.no_mistakes"))
    if not (examination.mistakes or examination.right):
        return
    has_heat = any(it.heat is not None for it in (*examination.mistakes, *examination.right))
    about = teller.say("test.heat_about" if has_heat else "test.no_heat")
    for kind in ("mistakes", "right"):
        if getattr(examination, kind):
            teller.tell(teller.say(f"results.{kind}"), about)
            teller.show("plot_pictures", f"examined.{kind}")
            about = ""

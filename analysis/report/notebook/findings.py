"""Second half of the notebook: results and how certain they are."""

from analysis.confirmation.comparison import Confirmation
from analysis.report.facts import SplitEvaluation
from analysis.report.figures.curves import second_phase
from analysis.report.notebook.cell_writer import CellWriter, bullet_list, escape_markdown
from analysis.report.page import N_TOP
from analysis.results.classification_metrics import OVERALL_SCORES


def write_results(writer: CellWriter) -> None:
    """Write about the families, the ranking, and the winner with its scores."""
    writer.add_text(writer.say("results.title"), writer.say("results.families"), _families(writer))
    writer.add_call("families_table")
    writer.add_call("plot_families")
    writer.add_text(writer.say("results.ranking"), writer.say("results.ranking_about"))
    writer.add_call("ranking_table", "facts", f"n={N_TOP}")
    if writer.facts.curves:
        writer.add_text(writer.say("top_curves.about"))
        writer.add_call("plot_top_curves")
    _write_winner(writer)
    _write_confirmation(writer)
    _write_evaluation(writer)


def _families(writer: CellWriter) -> str:
    best = [it for it in writer.facts.ranking.families if it.val_accuracy is not None]
    if not best:
        return writer.say("results.no_family")
    values: dict[str, object] = {
        "value": writer.phrases.accuracy(best[0].val_accuracy),
        "family": escape_markdown(best[0].family),
    }
    if len(best) == 1:
        return writer.say("results.best_family", **values)
    values["second"] = escape_markdown(best[1].family)
    values["second_value"] = writer.phrases.accuracy(best[1].val_accuracy)
    return writer.say("results.best_two", **values)


def _write_winner(writer: CellWriter) -> None:
    winner = writer.facts.winner
    source = "result.winner_confirmed" if winner.is_confirmed else "result.winner_search"
    values = {**writer.winner, "val": writer.val}
    if winner.is_confirmed:
        values["source_trial"] = str(winner.source_trial)
    n = winner.trial.parameters
    writer.add_text(
        writer.say("results.winner"),
        writer.say(source, **values),
        writer.say("results.size_unknown") if n is None else writer.count("results.size", n),
    )
    writer.add_call("winner_table")
    if winner.layers:
        writer.add_text(writer.count("results.layers", len(winner.layers)))
        writer.add_call("layers_table")
    else:
        writer.add_text(writer.say("result.no_layers"))
    _write_curve(writer)


def _write_curve(writer: CellWriter) -> None:
    winner = writer.facts.winner
    if not winner.curve:
        writer.add_text(writer.say("curves.none"))
        return
    second = second_phase(winner.curve)
    writer.add_text(
        "" if second is None else writer.say("curves.two_phases", epoch=second),
        writer.say("curves.about", epoch=winner.best_epoch),
    )
    writer.add_call("plot_learning_curves")


def _write_confirmation(writer: CellWriter) -> None:
    confirmation = writer.facts.confirmation
    writer.add_text(
        writer.say("results.sure"),
        writer.say("sure.none") if confirmation is None else _recommended(writer, confirmation),
        writer.on_test("sure.val_test_about", "sure.no_test"),
    )
    if confirmation is not None:
        writer.add_call("confirmation_table")
        writer.add_text(writer.say("confirmation.about"))
        writer.add_call("plot_confirmation", "facts.confirmation")


def _recommended(writer: CellWriter, confirmation: Confirmation) -> str:
    leader, best = confirmation.leader.trial, confirmation.recommended.trial
    if leader == best:
        return writer.say("sure.recommended_leader", trial=str(best))
    key = f"sure.recommended_{confirmation.reason}"
    return writer.say(key, leader=str(leader), trial=str(best))


def _write_evaluation(writer: CellWriter) -> None:
    examined = writer.facts.examined
    split = next((it for it in ("test", "val") if it in examined), None)
    if split is None:
        writer.add_text(writer.say("results.test"), writer.say("test.none"))
        return
    _write_scores(writer, examined[split])
    for figure, key in (
        ("plot_confusion", "confusion.about"),
        ("plot_roc", "roc.about"),
        ("plot_precision_recall", "precision_recall.about"),
    ):
        writer.add_text(writer.say(key))
        writer.add_call(figure, "examined.evaluation")
    error = writer.phrases.score(examined[split].evaluation.calibration_error)
    about = writer.say("calibration.about")
    writer.add_text(writer.say("results.calibration", error=error, about=about))
    writer.add_call("plot_calibration", "examined.evaluation")
    _write_pictures(writer, examined[split])


def _write_scores(writer: CellWriter, examination: SplitEvaluation) -> None:
    evaluation, score = examination.evaluation, writer.phrases.score
    intervals = [getattr(evaluation, name) for name in OVERALL_SCORES]
    intervals += [it.auc for it in evaluation.classes]
    is_test = examination.split == "test"
    images = writer.count("count.images", evaluation.n)
    n_groups = evaluation.n_groups
    writer.add_text(
        writer.say("results.test" if is_test else "results.val"),
        writer.say("test.about" if is_test else "test.about_val", images=images),
        "" if n_groups is None else writer.count("count.groups", n_groups),
        writer.say(
            "results.scores",
            accuracy=score(evaluation.accuracy.value),
            balanced=score(evaluation.balanced_accuracy.value),
            f1=score(evaluation.macro_f1.value),
            auc=score(evaluation.macro_auc.value),
            **writer.interval_values(evaluation.accuracy),
        ),
        _weakest(writer, examination),
        writer.phrases.no_interval(evaluation.accuracy, intervals),
        _uses(writer),
    )
    split = f'"{examination.split}"'
    writer.add_code(f"examined = facts.examined[{split}]")
    writer.add_call("scores_table", "facts", split)
    writer.add_call("class_scores_table", "facts", split)


def _weakest(writer: CellWriter, examination: SplitEvaluation) -> str:
    classes = [it for it in examination.evaluation.classes if it.n]
    if len(classes) < 2:
        return ""
    weakest = min(classes, key=lambda it: it.sensitivity.value)
    return writer.say(
        "results.weakest",
        name=escape_markdown(weakest.name),
        value=writer.phrases.score(weakest.sensitivity.value),
        images=writer.count("count.images", weakest.n),
        **writer.interval_values(weakest.sensitivity),
    )


def _uses(writer: CellWriter) -> str:
    uses = [
        writer.say(
            "test.use",
            at=writer.phrases.to_minute(it.at),
            by=escape_markdown(it.by),
            trial=str(it.trial),
            study=escape_markdown(it.study),
        )
        for it in writer.facts.test_uses
    ]
    return f"{writer.say('results.uses')}\n\n{bullet_list(uses)}" if uses else ""


def _write_pictures(writer: CellWriter, examination: SplitEvaluation) -> None:
    if not examination.mistakes:
        writer.add_text(writer.say("test.no_mistakes"))
    if not (examination.mistakes or examination.right):
        return
    has_heat = any(it.heat is not None for it in (*examination.mistakes, *examination.right))
    about = writer.say("test.heat_about" if has_heat else "test.no_heat")
    for kind in ("mistakes", "right"):
        if getattr(examination, kind):
            writer.add_text(writer.say(f"results.{kind}"), about)
            writer.add_call("plot_pictures", f"examined.{kind}")
            about = ""

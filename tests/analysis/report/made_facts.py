"""Invented facts of a study, realistic enough to draw figures and write reports from.

`make_facts()` returns facts with all parts; its arguments remove some.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from analysis.confirmation.comparison import Candidate, compare_configs
from analysis.report.facts import (
    Caution,
    DataFacts,
    Facts,
    Picture,
    SearchFacts,
    SplitEvaluation,
    TestUse,
    WinnerFacts,
)
from analysis.results.classification_metrics import evaluate
from analysis.results.families import FamilySummary
from analysis.results.ranking import RankedTrial, Ranking
from spaces import DrawnLayer
from storage import EpochRow

HOSTILE = "<script>alert(1)</script>"
CLASSES = ("glioma", "meningioma", "no tumour", HOSTILE)
FAMILIES = ("plain", "inception", "residual", "transfer")
MAX_EPOCHS = 20
SIDE = 64

SHARED: dict[str, BaseDistribution] = {
    "family": CategoricalDistribution(FAMILIES),
    "optimizer": CategoricalDistribution(("adam", "sgd", "rmsprop")),
    "batch_size": CategoricalDistribution((16, 32, 64, 128)),
    "activation": CategoricalDistribution(("relu", "elu", "gelu", "tanh")),
    "batch_normalization": CategoricalDistribution((True, False)),
    "augmentation": CategoricalDistribution((True, False)),
    "dropout": FloatDistribution(0.0, 0.6),
}
CONDITIONAL: dict[tuple[str, Any], dict[str, BaseDistribution]] = {
    ("optimizer", "adam"): {"learning_rate": FloatDistribution(1e-4, 1e-2, log=True)},
    ("optimizer", "rmsprop"): {"learning_rate": FloatDistribution(1e-4, 1e-2, log=True)},
    ("optimizer", "sgd"): {
        "sgd_learning_rate": FloatDistribution(1e-3, 1e-1, log=True),
        "sgd_momentum": FloatDistribution(0.0, 0.95),
    },
    ("family", "plain"): {
        "plain_stages": IntDistribution(1, 5),
        "stage1_channels": IntDistribution(8, 128, log=True),
    },
    ("family", "inception"): {
        "inception_stages": IntDistribution(1, 3),
        "inception_width": IntDistribution(16, 128, log=True),
    },
    ("family", "residual"): {
        "residual_stages": IntDistribution(1, 4),
        "residual_version": CategoricalDistribution(("v1", "v2")),
    },
    ("family", "transfer"): {
        "backbone": CategoricalDistribution(("MobileNetV2", "EfficientNetB0")),
        "transfer_unfrozen_layers": IntDistribution(0, 60),
    },
}
GOODNESS = {"plain": 0.84, "inception": 0.9, "residual": 0.88, "transfer": 0.86}


def make_facts(
    *,
    n_trials: int = 40,
    with_test: bool = True,
    with_confirmation: bool = True,
    with_weights: bool = True,
    is_partial: bool = False,
    classes: tuple[str, ...] = CLASSES,
    seed: int = 0,
) -> Facts:
    """Return facts of a study with `n_trials` trials, equal for equal arguments."""
    rng = np.random.default_rng(seed)
    trials, ranked, curves = _make_trials(n_trials, rng)
    ranking = _rank(ranked)
    best = ranking.trials[0]
    top = [it.trial for it in ranking.complete[:5]]
    examined = {}
    if with_weights:
        examined["val"] = _examine("val", classes, rng, skill=3.0)
        if with_test:
            examined["test"] = _examine("test", classes, rng, skill=2.4)
    uses = (TestUse("2026-03-02T09:30:00+00:00", "confirm", "brain/confirm", 4),)
    return Facts(
        study="brain <b>MRI</b>",
        is_partial=is_partial,
        data=_make_data(classes, rng),
        search=_make_search(ranking, n_trials),
        ranking=ranking,
        trials=tuple(trials),
        winner=_make_winner(best, with_confirmation, with_weights),
        curves={number: curves[number] for number in top},
        importance={
            "family": 0.31,
            "learning_rate": 0.22,
            "batch_normalization": 0.13,
            "optimizer": 0.12,
            "dropout": 0.09,
            "inception_width": 0.06,
            "batch_size": 0.04,
            "activation": 0.03,
        },
        confirmation=_confirm(ranking) if with_confirmation else None,
        examined=examined,
        test_uses=uses if with_test and with_weights else (),
        cautions=_cautions(with_test, with_confirmation, with_weights, is_partial),
    )


def make_easy_facts() -> Facts:
    """Return facts of four trials of up to three epochs, with equal classes and no mistakes."""
    facts = make_facts(n_trials=4, with_confirmation=False)
    labels = np.arange(40) % len(CLASSES)
    evaluation = evaluate(labels, np.eye(len(CLASSES))[labels], CLASSES, n_resamples=200)
    counts = {split: dict.fromkeys(CLASSES, 10) for split in facts.data.counts}
    return replace(
        facts,
        data=replace(facts.data, counts=counts),
        search=replace(facts.search, families=("plain",)),
        winner=replace(facts.winner, curve=facts.winner.curve[:3]),
        curves={number: curve[:3] for number, curve in facts.curves.items()},
        examined={"test": SplitEvaluation("test", evaluation)},
    )


def make_curve(
    n_epochs: int, top: float, rng: np.random.Generator, *, second_phase: int | None = None
) -> tuple[EpochRow, ...]:
    """Return a curve that rises to `top`; phase 2 begins at epoch `second_phase`."""
    rows, rate = [], 2e-3
    for epoch in range(1, n_epochs + 1):
        is_second = second_phase is not None and epoch >= second_phase
        if is_second and epoch == second_phase:
            rate = 2e-4
        elif epoch in {8, 15}:
            rate /= 2
        reached = top * (1 - np.exp(-epoch / 3)) + rng.normal(0, 0.008)
        accuracy = float(np.clip(reached - 0.02 * max(0, epoch - 14) / 6, 0.05, 1))
        train = float(np.clip(accuracy + 0.004 * epoch, 0.05, 1))
        rows.append(
            EpochRow(
                epoch=epoch,
                train_loss=float(1.6 * np.exp(-epoch / 5) + 0.05),
                train_accuracy=train,
                val_loss=float(1.5 * np.exp(-epoch / 5) + 0.25 + 0.012 * epoch),
                val_accuracy=accuracy,
                learning_rate=rate,
                seconds=4.2,
                memory_mb=900.0,
                phase=2 if is_second else 1,
            )
        )
    return tuple(rows)


def make_layers() -> tuple[DrawnLayer, ...]:
    """Return the layers of a small `inception` network: a stem, two blocks, a head."""
    drawing = _Drawing()
    x = drawing.conv("image", "stem", 16, 3)
    for number, width in ((1, 16), (2, 24)):
        x = _block(drawing, x, f"stage{number}_block1", width)
        if number == 1:
            x = drawing.pool(x, "reduction1", strides=2)
    x = drawing.add("head", "global_average", (drawing.channels(x),), 0, (x,))
    x = drawing.add("dense1", "dense", (64,), 65 * drawing.channels("head"), (x,))
    x = drawing.add("dense1_activation", "activation", (64,), 0, (x,))
    x = drawing.add("dense1_dropout", "dropout", (64,), 0, (x,))
    drawing.add("probabilities", "probabilities", (4,), 65 * 4, (x,))
    return tuple(drawing.rows.values())


def make_picture(
    rng: np.random.Generator, label: str, *, side: int = SIDE, **said: Any
) -> Picture:
    """Return a picture of a grey disc with a bright spot."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    disc = 150 * np.exp(-(((x**2 + y**2) / 0.12) ** 2))
    dx, dy = rng.uniform(-0.2, 0.2, 2)
    spot = np.exp(-((x - dx) ** 2 + (y - dy) ** 2) / 0.008)
    noise = rng.normal(0, 8, (side, side))
    pixels = np.clip(disc + 90 * spot + noise, 0, 255).astype(np.uint8)[..., None]
    heat = (255 * spot**0.4).astype(np.uint8) if said else None
    return Picture(pixels, label, heat=heat, **said)


class _Drawing:
    def __init__(self) -> None:
        self.rows = {"image": DrawnLayer("image", "image", (SIDE, SIDE, 1), 0, ())}

    def add(
        self, name: str, kind: str, shape: tuple[int, ...], n: int, inputs: tuple[str, ...]
    ) -> str:
        self.rows[name] = DrawnLayer(name, kind, shape, n, inputs)
        return name

    def channels(self, name: str) -> int:
        return self.rows[name].shape[-1]

    def conv(self, x: str, name: str, channels: int, kernel: int) -> str:
        height, width, before = self.rows[x].shape
        n = (kernel * kernel * before + 1) * channels
        x = self.add(name, "conv2d", (height, width, channels), n, (x,))
        x = self.add(f"{name}_norm", "batch_norm", (height, width, channels), 4 * channels, (x,))
        return self.add(f"{name}_activation", "activation", (height, width, channels), 0, (x,))

    def pool(self, x: str, name: str, *, strides: int) -> str:
        height, width, channels = self.rows[x].shape
        return self.add(name, "max_pool", (height // strides, width // strides, channels), 0, (x,))


def _block(drawing: _Drawing, x: str, name: str, width: int) -> str:
    narrow3 = drawing.conv(x, f"{name}_reduce3x3", width, 1)
    narrow5 = drawing.conv(x, f"{name}_reduce5x5", width // 2, 1)
    pooled = drawing.pool(x, f"{name}_pool", strides=1)
    branches = (
        drawing.conv(x, f"{name}_conv1x1", width, 1),
        drawing.conv(narrow3, f"{name}_conv3x3", width * 2, 3),
        drawing.conv(narrow5, f"{name}_conv5x5", width, 5),
        drawing.conv(pooled, f"{name}_pooled", width, 1),
    )
    height, side, _ = drawing.rows[x].shape
    return drawing.add(f"{name}_concat", "concatenate", (height, side, 5 * width), 0, branches)


def _draw_params(rng: np.random.Generator) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
    params: dict[str, Any] = {}
    domains: dict[str, BaseDistribution] = {}

    def draw(wanted: dict[str, BaseDistribution]) -> None:
        for name, domain in wanted.items():
            domains[name], params[name] = domain, _draw_one(domain, rng)

    draw(SHARED)
    for (name, value), wanted in CONDITIONAL.items():
        if params[name] == value:
            draw(wanted)
    return params, domains


def _draw_one(domain: BaseDistribution, rng: np.random.Generator) -> Any:
    if isinstance(domain, CategoricalDistribution):
        return domain.choices[int(rng.integers(len(domain.choices)))]
    assert isinstance(domain, IntDistribution | FloatDistribution)
    low, high = float(domain.low), float(domain.high)
    value = np.exp(rng.uniform(*np.log([low, high]))) if domain.log else rng.uniform(low, high)
    return round(value) if isinstance(domain, IntDistribution) else float(value)


def _make_trials(
    n: int, rng: np.random.Generator
) -> tuple[list[FrozenTrial], list[RankedTrial], dict[int, tuple[EpochRow, ...]]]:
    trials, ranked, curves = [], [], {}
    for number in range(n):
        params, domains = _draw_params(rng)
        top = GOODNESS[params["family"]] - abs(rng.normal(0, 0.05))
        top -= 0.15 * abs(params["dropout"] - 0.25)
        is_pruned, is_unfit = number > 5 and rng.random() < 0.4, number == 7
        n_epochs = int(rng.integers(2, 9)) if is_pruned else int(rng.integers(14, 21))
        curve = () if is_unfit else make_curve(n_epochs, top, rng)
        value = max((row.val_accuracy for row in curve), default=None)
        state = "PRUNED" if is_pruned or is_unfit else "COMPLETE"
        curves[number] = curve
        trial = create_trial(
            state=TrialState[state],
            value=value,
            params=params,
            distributions=domains,
            intermediate_values={row.epoch: row.val_accuracy for row in curve},
        )
        trial.number = number
        trials.append(trial)
        ranked.append(
            RankedTrial(
                rank=None,
                trial=number,
                family=params["family"],
                state=state,
                val_accuracy=value,
                best_epoch=_best_epoch(curve) if curve else None,
                epochs=len(curve),
                seconds=len(curve) * float(rng.uniform(2, 12)),
                parameters=int(10 ** rng.uniform(4, 6.5)),
                params=params,
                reason="needs more memory than there is" if is_unfit else "",
                metrics={}
                if is_pruned or is_unfit
                else {"balanced_accuracy": top, "macro_auc": 0.97},
                config={"family": params["family"]},
                kind="unfit" if is_unfit else state.lower(),
            )
        )
    return trials, ranked, curves


def _best_epoch(curve: tuple[EpochRow, ...]) -> int:
    return max(curve, key=lambda row: row.val_accuracy).epoch


def _rank(trials: list[RankedTrial]) -> Ranking:
    placed = [it for it in trials if it.val_accuracy is not None and it.kind != "unfit"]
    placed.sort(key=lambda it: (it.state != "COMPLETE", -(it.val_accuracy or 0)))
    numbered = [replace(it, rank=place) for place, it in enumerate(placed, start=1)]
    numbers = {it.trial for it in placed}
    others = [it for it in trials if it.trial not in numbers]
    families = []
    for family in FAMILIES:
        members = [it for it in numbered if it.family == family]
        complete = [it for it in members if it.state == "COMPLETE"]
        best = complete[0] if complete else None
        families.append(
            FamilySummary(
                family=family,
                trial=best.trial if best else None,
                val_accuracy=best.val_accuracy if best else None,
                n_trials=len(members),
                n_complete=len(complete),
                n_pruned=len(members) - len(complete),
                parameters=best.parameters if best else None,
                n_epochs=sum(it.epochs for it in members),
                seconds=sum(it.seconds for it in members),
            )
        )
    families.sort(key=lambda it: -(it.val_accuracy or 0))
    return Ranking("brain <b>MRI</b>", (*numbered, *others), tuple(families))


def _make_data(classes: tuple[str, ...], rng: np.random.Generator) -> DataFacts:
    shares = {"train": (820, 760, 391, 96), "val": (205, 190, 98, 24), "test": (300, 306, 405, 30)}
    return DataFacts(
        kind="npz",
        classes=classes,
        counts={
            split: {name: row[place % 4] for place, name in enumerate(classes)}
            for split, row in shares.items()
        },
        image_shapes={"scratch": (SIDE, SIDE, 1), "transfer": (96, 96, 3)},
        fingerprint="sha256:4f1d9a0c77e2b3d05a61e8cf90ab34d2",
        n_duplicates=21,
        n_conflicts=1,
        n_broken=0,
        baseline=0.4127,
        split=(0.7, 0.15, 0.15),
        seed=0,
        samples=tuple(make_picture(rng, name) for name in classes for _ in range(3)),
    )


def _make_search(ranking: Ranking, n_trials: int) -> SearchFacts:
    n_epochs = sum(it.epochs for it in ranking.trials)
    pruned = [it for it in ranking.trials if it.kind == "pruned"]
    counts = {
        kind: sum(it.kind == kind for it in ranking.trials) for kind in ("complete", "pruned")
    }
    return SearchFacts(
        families=FAMILIES,
        space={
            "family": "plain, inception, residual, transfer",
            "optimizer": "adam, sgd, rmsprop",
            "learning_rate": "0.0001–0.01",
            "dropout": "0–0.6",
            "batch_size": "16, 32, 64, 128",
            "batch_normalization": "true, false",
        },
        sampler="tpe",
        pruner="auto",
        seed=0,
        n_trials=n_trials,
        timeout_s=None,
        active_s=2710.0,
        machine_s=5230.0,
        counts={**counts, "unfit": 1, "fail": 0, "running": 0, "waiting": 0},
        n_epochs=n_epochs,
        epochs_saved_by_pruner=sum(MAX_EPOCHS - it.epochs for it in pruned),
        epochs_saved_by_patience=37,
        settings={
            "max_epochs": MAX_EPOCHS,
            "patience": 5,
            "plateau_patience": 3,
            "plateau_factor": 0.5,
            "min_learning_rate": 1e-6,
        },
        versions={"convsearch": "0.1.0", "keras": "3.15.1", "optuna": "5.0.0"},
    )


def _make_winner(best: RankedTrial, is_confirmed: bool, has_weights: bool) -> WinnerFacts:
    curve = make_curve(18, 0.92, np.random.default_rng(7), second_phase=11)
    best_row = max(curve, key=lambda row: row.val_accuracy)
    return WinnerFacts(
        trial=best,
        source="brain <b>MRI</b>/confirm" if is_confirmed else "brain <b>MRI</b>",
        source_trial=4 if is_confirmed else best.trial,
        val_accuracy=best_row.val_accuracy,
        curve=curve,
        best_epoch=best_row.epoch,
        layers=make_layers() if has_weights else (),
        command=f"convsearch reproduce 'brain <b>MRI</b>' {best.trial}",
    )


def _confirm(ranking: Ranking) -> Any:
    values = ((0.911, 0.921, 0.904), (0.909, 0.914, 0.9), (0.861, 0.872, 0.866))
    leaders = ranking.complete[:3]
    return compare_configs(
        [
            Candidate(it.trial, it.parameters, row)
            for it, row in zip(leaders, values, strict=False)
        ],
        resolution=1 / 517,
    )


def _examine(
    split: str, classes: tuple[str, ...], rng: np.random.Generator, *, skill: float
) -> SplitEvaluation:
    n, n_classes = 400, len(classes)
    labels = rng.choice(n_classes, n, p=np.arange(n_classes, 0, -1) / sum(range(n_classes + 1)))
    scores = rng.normal(0, 1, (n, n_classes))
    scores[np.arange(n), labels] += skill
    exponents = np.exp(1.3 * scores)
    probabilities = exponents / exponents.sum(axis=1, keepdims=True)
    predictions, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)

    def pictures(chosen: Any) -> tuple[Picture, ...]:
        order = [int(i) for i in np.argsort(-confidence) if chosen[i]][:6]
        return tuple(
            make_picture(
                rng,
                classes[labels[i]],
                answer=classes[predictions[i]],
                confidence=float(confidence[i]),
            )
            for i in order
        )

    return SplitEvaluation(
        split,
        evaluate(labels, probabilities, classes, n_resamples=200),
        mistakes=pictures(predictions != labels),
        right=pictures(predictions == labels),
    )


def _cautions(
    has_test: bool, is_confirmed: bool, has_weights: bool, is_partial: bool
) -> tuple[Caution, ...]:
    found = [
        Caution("edge", {"parameter": "dropout", "value": 0.01, "low": 0.0, "high": 0.6}),
        Caution("unbalanced", {"ratio": 8.5}),
        Caution("duplicates", {"n": 21}),
        Caution("small_validation", {"n": 517, "step": 1 / 517}),
    ]
    if is_confirmed:
        found.append(Caution("not_separable", {"trials": "3, 7"}))
    else:
        found.append(Caution("unconfirmed"))
    if has_weights and has_test:
        found.append(Caution("worse_on_test", {"val": 0.921, "test": 0.88}))
    elif not has_weights:
        found.append(Caution("no_weights", {"trial": 3}))
    else:
        found.append(Caution("no_test"))
    if is_partial:
        found.append(Caution("partial", {"done": 12, "budget": 40}))
    return tuple(found)

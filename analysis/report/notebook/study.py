"""The first half of the story: what was asked, of which images, and how it was searched."""

from analysis.report.notebook.cell_writer import Teller, listed, plain

SPLITS = ("train", "val", "test")


def tell_aim(teller: Teller) -> None:
    """Tells what was asked, and of which networks."""
    facts = teller.facts
    classes, families = facts.data.classes, facts.search.families
    teller.tell(
        teller.say("aim.title"),
        teller.count("aim.question", len(classes), names=_named(classes)),
        teller.count("aim.families", len(families), names=_named(families)),
        teller.say("aim.trust"),
    )


def tell_data(teller: Teller) -> None:
    """Tells of the images: how many, how they were split, and what was left out."""
    data = teller.facts.data
    by_split = {name: sum(data.counts.get(name, {}).values()) for name in SPLITS}
    shapes = "; ".join(
        f"{teller.phrases.size(shape)} ({teller.phrases.name('data.set', name)})"
        for name, shape in data.image_shapes.items()
    )
    teller.tell(
        teller.say("data.title"),
        teller.count("data.counts", sum(by_split.values()), **by_split),
        _extremes(teller),
        teller.say("data.split", how=_split(teller)),
        teller.say("data.shapes", shapes=shapes),
        _left_out(teller),
        teller.say("data.fingerprint", fingerprint=data.fingerprint),
    )
    teller.show("data_table")
    if data.samples:
        teller.tell(teller.say("data.samples"))
        teller.show("plot_pictures", "facts.data.samples")


def tell_methods(teller: Teller) -> None:
    """Tells how trials were proposed, trained, stopped and judged."""
    facts, search = teller.facts, teller.facts.search
    budget = teller.phrases.budget(facts)
    is_bounded = search.n_trials is not None or search.timeout_s is not None
    pruner = "methods.no_pruner" if search.pruner == "none" else "methods.pruner"
    rules = (
        f"{teller.phrases.name('search.setting', name)}: {teller.phrases.value(value)}"
        for name, value in search.settings.items()
    )
    versions = ", ".join(f"{name} {version}" for name, version in search.versions.items())
    teller.tell(
        teller.say("methods.title"),
        teller.say("methods.sampler", sampler=_sampler(teller), seed=str(search.seed)),
        teller.say(pruner, pruner=search.pruner),
        teller.say(
            "methods.budget", budget=budget if is_bounded else teller.say("methods.no_budget")
        ),
        teller.say("methods.value"),
        teller.say("sure.about" if facts.confirmation else "sure.none"),
        teller.say("methods.scores"),
        teller.say("methods.rules"),
        listed(map(plain, rules)),
        teller.say("methods.versions", versions=plain(versions)) if versions else "",
        teller.say("methods.space"),
    )
    teller.show("space_table")


def tell_search(teller: Teller) -> None:
    """Tells how the search went, and what mattered in it."""
    facts, search = teller.facts, teller.facts.search
    counts = ", ".join(
        f"{teller.phrases.name('search.state', kind)} – {teller.page.number(n)}"
        for kind, n in search.counts.items()
        if n
    )
    teller.tell(
        teller.say("search.title"),
        teller.count(
            "search.about",
            len(search.families),
            trials=teller.count("count.trials", len(facts.ranking.counted)),
            families=_named(search.families),
            machine=teller.page.duration(search.machine_s),
        ),
        teller.say("search.outcomes", counts=counts) if counts else "",
        teller.say("history.about"),
    )
    teller.show("plot_history")
    saved = {"pruner": search.epochs_saved_by_pruner, "patience": search.epochs_saved_by_patience}
    teller.tell(teller.count("pruning.about", search.n_epochs, **saved))
    teller.show("plot_pruning")
    _tell_importance(teller)
    teller.tell(teller.say("pareto.about"))
    teller.show("plot_pareto")


def _tell_importance(teller: Teller) -> None:
    if not teller.facts.importance:
        teller.tell(teller.say("importance.none"))
        return
    for figure in ("importance", "slices", "parallel"):
        teller.tell(teller.say(f"{figure}.about"))
        teller.show(f"plot_{figure}")


def _named(names: tuple[str, ...]) -> str:
    return ", ".join(map(plain, names))


def _extremes(teller: Teller) -> str:
    counts = teller.facts.data.counts.get("train", {})
    if len(counts) < 2:
        return ""
    if len(set(counts.values())) == 1:
        return teller.say("data.equal_sizes", n=min(counts.values()))
    largest, smallest = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    return teller.say(
        "data.sizes",
        largest=plain(largest),
        n_largest=counts[largest],
        smallest=plain(smallest),
        n_smallest=counts[smallest],
    )


def _split(teller: Teller) -> str:
    data = teller.facts.data
    if data.split is None:
        return teller.say("data.split_given" if data.is_split_known else "data.split_unknown")
    shares = {
        name: teller.page.percent(share, 0) for name, share in zip(SPLITS, data.split, strict=True)
    }
    return teller.say("data.split_made", seed=str(data.seed), **shares)


def _left_out(teller: Teller) -> str:
    data = teller.facts.data
    found = {
        "duplicates": data.n_duplicates,
        "conflicts": data.n_conflicts,
        "broken": data.n_broken,
    }
    sentences = [teller.count(f"data.{kind}", n) for kind, n in found.items() if n]
    if not data.n_duplicates:
        sentences.insert(0, teller.say("data.no_duplicates"))
    return " ".join(sentences)


def _sampler(teller: Teller) -> str:
    return teller.phrases.name("search.sampler", teller.facts.search.sampler)

"""First half of the notebook: aim, data, methods and search."""

from analysis.report.notebook.cell_writer import CellWriter, bullet_list, escape_markdown
from analysis.report.preparation_phrases import describe_preparation

SPLITS = ("train", "val", "test")


def write_aim(writer: CellWriter) -> None:
    """Write the question and the families that were searched."""
    facts = writer.facts
    classes, families = facts.data.classes, facts.search.families
    writer.add_text(
        writer.say("aim.title"),
        writer.count("aim.question", len(classes), names=_join_escaped(classes)),
        writer.count("aim.families", len(families), names=_join_escaped(families)),
        writer.say("aim.trust"),
    )


def write_data(writer: CellWriter) -> None:
    """Write about the images: their number, their splits, and which were excluded."""
    data = writer.facts.data
    by_split = {name: sum(data.counts.get(name, {}).values()) for name in SPLITS}
    shapes = "; ".join(
        f"{writer.phrases.size(shape)} ({writer.phrases.name('data.set', name)})"
        for name, shape in data.image_shapes.items()
    )
    writer.add_text(
        writer.say("data.title"),
        writer.count("data.counts", sum(by_split.values()), **by_split),
        _class_sizes(writer),
        writer.say("data.split", how=_split(writer)),
        writer.say("data.shapes", shapes=shapes),
        _excluded_images(writer),
        writer.say("data.fingerprint", fingerprint=data.fingerprint),
        *_preparation(writer),
    )
    writer.add_call("data_table")
    if data.samples:
        writer.add_text(writer.say("data.samples"))
        writer.add_call("plot_pictures", "facts.data.samples")


def write_methods(writer: CellWriter) -> None:
    """Write how trials were proposed, trained, stopped and evaluated."""
    facts, search = writer.facts, writer.facts.search
    budget = writer.phrases.budget(facts)
    sampler = writer.phrases.name("search.sampler", search.sampler)
    is_bounded = search.n_trials is not None or search.timeout_s is not None
    pruner = "methods.no_pruner" if search.pruner == "none" else "methods.pruner"
    rules = (
        f"{writer.phrases.name('search.setting', name)}: {writer.phrases.value(value)}"
        for name, value in search.settings.items()
    )
    versions = ", ".join(f"{name} {version}" for name, version in search.versions.items())
    writer.add_text(
        writer.say("methods.title"),
        writer.say("methods.sampler", sampler=sampler, seed=str(search.seed)),
        writer.say(pruner, pruner=search.pruner),
        writer.say(
            "methods.budget", budget=budget if is_bounded else writer.say("methods.no_budget")
        ),
        writer.say("methods.value"),
        writer.say("sure.about" if facts.confirmation else "sure.none"),
        writer.say("methods.scores"),
        writer.say("methods.rules"),
        bullet_list(map(escape_markdown, rules)),
        writer.say("methods.versions", versions=escape_markdown(versions)) if versions else "",
        writer.say("methods.space"),
    )
    writer.add_call("space_table")


def write_search(writer: CellWriter) -> None:
    """Write about the trials of the search and the importance of parameters."""
    facts, search = writer.facts, writer.facts.search
    counts = ", ".join(
        f"{writer.phrases.name('search.state', kind)} – {writer.page.number(n)}"
        for kind, n in search.counts.items()
        if n
    )
    writer.add_text(
        writer.say("search.title"),
        writer.count(
            "search.about",
            len(search.families),
            trials=writer.count("count.trials", len(facts.ranking.counted)),
            families=_join_escaped(search.families),
            machine=writer.page.duration(search.machine_s),
        ),
        writer.say("search.outcomes", counts=counts) if counts else "",
        writer.say("history.about"),
    )
    writer.add_call("plot_history")
    saved = {"pruner": search.epochs_saved_by_pruner, "patience": search.epochs_saved_by_patience}
    writer.add_text(writer.count("pruning.about", search.n_epochs, **saved))
    writer.add_call("plot_pruning")
    _write_importance(writer)
    writer.add_text(writer.say("pareto.about"))
    writer.add_call("plot_pareto")


def _write_importance(writer: CellWriter) -> None:
    if not writer.facts.importance:
        writer.add_text(writer.say("importance.none"))
        return
    for figure in ("importance", "slices", "parallel"):
        writer.add_text(writer.say(f"{figure}.about"))
        writer.add_call(f"plot_{figure}")


def _join_escaped(names: tuple[str, ...]) -> str:
    return ", ".join(map(escape_markdown, names))


def _class_sizes(writer: CellWriter) -> str:
    counts = writer.facts.data.counts.get("train", {})
    if len(counts) < 2:
        return ""
    if len(set(counts.values())) == 1:
        return writer.say("data.equal_sizes", n=min(counts.values()))
    largest, smallest = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    return writer.say(
        "data.sizes",
        largest=escape_markdown(largest),
        n_largest=counts[largest],
        smallest=escape_markdown(smallest),
        n_smallest=counts[smallest],
    )


def _split(writer: CellWriter) -> str:
    data = writer.facts.data
    if data.split is None:
        return writer.say("data.split_given" if data.is_split_known else "data.split_unknown")
    shares = {
        name: writer.page.percent(share, 0) for name, share in zip(SPLITS, data.split, strict=True)
    }
    return writer.say("data.split_made", seed=str(data.seed), **shares)


def _preparation(writer: CellWriter) -> tuple[str, ...]:
    """Return a heading and a list of how images were made; nothing if that is not recorded."""
    made = describe_preparation(writer.facts.data.preparation, writer.page)
    if not made:
        return ()
    items = (
        escape_markdown(f"{it.name}: {it.text}") + (f" (`{it.option}`)" if it.option else "")
        for it in made
    )
    return f"{writer.say('made.title')}:", bullet_list(items)


def _excluded_images(writer: CellWriter) -> str:
    data = writer.facts.data
    found = {
        "duplicates": data.n_duplicates,
        "conflicts": data.n_conflicts,
        "broken": data.n_broken,
    }
    sentences = [writer.count(f"data.{kind}", n) for kind, n in found.items() if n]
    if not data.n_duplicates:
        sentences.insert(0, writer.say("data.no_duplicates"))
    return " ".join(sentences)

from analysis.source_page.figures import MAX_SIZES, plot_groups, plot_intensities, plot_sizes
from analysis.source_page.page import render_source_page
from tests.analysis.report.page_reader import Reader

MANY = tuple(f"class {number}" for number in range(40))


def text_of(facts):
    return " ".join(Reader(render_source_page(facts)).text.split())


def test_what_is_not_shown_is_counted(make_source_facts):
    text = text_of(make_source_facts(MANY))
    assert "and 40 notes more: --json lists all" in text
    assert "and 4,997 pairs more" in text
    assert "and 65 more" in text
    assert "and 2 pictures more" in text
    assert "The first 12 of 40 classes are shown." in text
    assert text.count("The first 12 of 40 classes are shown.") == 3


def test_a_clean_source_says_so(make_source_facts):
    clean = {"near": (), "n_near": 0, "equal": (), "n_equal": 0, "conflicts": (), "n_conflicts": 0}
    text = text_of(
        make_source_facts(
            **clean, warnings=(), n_warnings=0, broken={}, n_broken=0, group_sizes={}
        )
    )
    assert "None were found, unless" in text
    assert text.count("There are none.") == 2
    assert "Before you search" not in text
    assert "cannot be read" not in text
    assert "The images have no groups." in text


def test_groups_in_several_splits_are_named(make_source_facts):
    divided = ({"test": "test/a/3.png", "train": "train/a/1.png"},)
    text = " ".join(text_of(make_source_facts(divided=divided, n_divided=12)).split())
    assert "12 in several splits" in text
    assert "test/a/3.png (test), train/a/1.png (train)" in text
    assert "of the first 1 groups" in text
    for words in ("each is kept in one split", "All images of a group are in one split"):
        assert words not in text
        assert words in " ".join(text_of(make_source_facts()).split())


def test_sizes_that_are_all_equal_are_a_sentence(make_source_facts):
    page = Reader(render_source_page(make_source_facts(sizes={"cat": {(64, 48): 9}, "dog": {}})))
    assert "All images have 64 × 48 pixels." in " ".join(page.text.split())
    assert not any(attrs.get("data-figure") == "sizes" for _, attrs in page.tags)


def test_pairs_are_marked(make_source_facts):
    facts = make_source_facts()
    text = text_of(facts)
    assert text.count("certain correlation 0.9985") == 1
    assert text.count("likely correlation 0.9985") == 2


def test_figure_of_sizes_is_limited(make_source_facts):
    many = {(width, height): 1 for width in range(100) for height in range(50)}
    figure = plot_sizes(make_source_facts(sizes={"cat": many, "dog": many}))
    assert [len(it.x) for it in figure.data] == [MAX_SIZES // 2] * 2


def test_figures_tell_some_classes_apart(make_source_facts):
    facts = make_source_facts(MANY)
    assert len(plot_sizes(facts).data) == len(plot_intensities(facts).data) == 12


def test_groups_of_many_sizes_are_counted_in_ranges(make_source_facts):
    figure = plot_groups(make_source_facts(group_sizes={1: 5, 2: 3, 300: 1}))
    (bars,) = figure.data
    assert (bars.x[0], bars.y[0], bars.y[-1], sum(bars.y)) == ("1–10", 8, 1, 9)
    assert len(bars.x) <= 30

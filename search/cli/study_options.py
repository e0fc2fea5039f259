"""The options that describe a study, shared by `run`, `submit` and `data`."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from search import defaults
from search.cli import options
from search.settings.option_keys import Options, by_key


def _option(kind: type, help: str, *flags: str, **details: Any) -> Any:  # noqa: A002 typer's word
    return Annotated[kind | None, typer.Option(*flags, help=help, **details)]


_OPTIONS: Mapping[str, Any] = {
    "study": _option(str, "Name of the study.", show_default="the source's name"),
    "store": options.Store,
    "artifacts": _option(
        str,
        "Where checkpoints and prepared images go: a folder, database or s3://BUCKET/PREFIX.",
        metavar="URL",
        show_default="beside the store, or in it",
    ),
    "families": _option(
        list[str], "Comma-separated families of networks, or all.", show_default="all but transfer"
    ),
    "backbones": _option(
        list[str],
        "Comma-separated backbones of the family transfer.",
        show_default="five small ones",
    ),
    "weights": _option(
        str,
        "Their weights: downloaded, random, or a .weights.h5 file.",
        metavar="imagenet|none|PATH",
        show_default=defaults.WEIGHTS,
    ),
    "weights_mode": _option(
        str,
        "How pixels are scaled for the weights of a file: torch, tf or caffe.",
        metavar="MODE",
        show_default="as Keras' own",
    ),
    "transfer_image_size": _option(
        int,
        "Side of the images that backbones see.",
        show_default=str(defaults.TRANSFER_IMAGE_SIZE),
    ),
    "trials": options.Trials,
    "timeout": _option(str, "How long to search, such as 90s, 30m or 2h.", metavar="TIME"),
    "priority": _option(
        int,
        "Standing workers serve studies of higher priority first.",
        show_default=str(defaults.PRIORITY),
    ),
    "max_epochs": _option(
        int, "Maximum number of epochs of a trial.", show_default=str(defaults.MAX_EPOCHS)
    ),
    "image_size": _option(
        int, "Side of the images in pixels.", show_default=str(defaults.IMAGE_SIZE)
    ),
    "color": _option(str, "grey, rgb or auto.", show_default=defaults.COLOR),
    "resize": _option(
        str, "How images become square: pad, crop, stretch or auto.", show_default=defaults.RESIZE
    ),
    "window": _option(
        str,
        "Pixel values that become 0 and 255: CENTER/WIDTH, lung, bone, brain, soft-tissue, image "
        "(each has its own), file (proposed by the files) or auto.",
        show_default=defaults.WINDOW,
    ),
    "classes": _option(
        list[str],
        "Comma-separated names of the classes to use.",
        metavar="A,B",
        show_default="all",
    ),
    "merge": _option(
        list[str],
        "Classes that become one; several such by ;.",
        metavar="NEW=A,B",
        show_default="none",
    ),
    "exclude": _option(
        list[str],
        "Comma-separated patterns of files and folders to leave out.",
        metavar="PATTERN",
        show_default="none",
    ),
    "label_from": _option(
        str,
        "Regular expression that finds the class in a path.",
        metavar="REGEX",
        show_default="top folders",
    ),
    "group_from": _option(
        str,
        "Regular expression that finds the patient in a path: patients stay in one split.",
        metavar="REGEX",
        show_default="no groups",
    ),
    "group_tag": _option(
        str,
        "DICOM tag that groups images: PatientID, StudyInstanceUID, SeriesInstanceUID or none.",
        metavar="TAG",
        show_default="auto, the first that tells patients apart",
    ),
    "slices": _option(
        str,
        "Slices of NIfTI files and MetaImages that are images: axial, coronal or sagittal, with a "
        "range and a step.",
        metavar="AXIS[:A%-B%][:every N]",
        show_default=defaults.SLICES,
    ),
    "volume": _option(
        int, "Which volume is used of files that have several.", metavar="N", show_default="1"
    ),
    "pages": _option(
        str,
        "Which page is used of TIFF files that have several, or all.",
        metavar="N",
        show_default="1",
    ),
    "masks": _option(
        str,
        "Pattern of the masks of volumes: slices with a marked voxel are a class.",
        metavar="PATTERN",
        show_default="none",
    ),
    "path_column": _option(
        str, "Column of a manifest with the images.", metavar="COLUMN", show_default="guessed"
    ),
    "label_column": _option(
        str, "Column with their labels.", metavar="COLUMN", show_default="guessed"
    ),
    "group_column": _option(
        str, "Column with their patients.", metavar="COLUMN", show_default="guessed"
    ),
    "frame_column": _option(
        str,
        "Column with the number of a slice, frame or page, from 1.",
        metavar="COLUMN",
        show_default="none",
    ),
    "split_column": _option(
        str, "Column with train, val or test.", metavar="COLUMN", show_default="guessed"
    ),
    "weight_column": _option(
        str,
        "Column with their weights in the loss of training.",
        metavar="COLUMN",
        show_default="none",
    ),
    "join": _option(
        str,
        "Table with further columns of a manifest's images.",
        metavar="FILE",
        show_default="none",
    ),
    "root": _option(
        str, "Folder of a manifest's images.", metavar="FOLDER", show_default="beside it"
    ),
    "where": _option(
        list[str],
        "Rows of a manifest to use, or DICOM files; several conditions by commas.",
        metavar="COLUMN=VALUE",
        show_default="all",
    ),
    "positive": _option(
        str, "Label to find; all others are one class.", metavar="LABEL", show_default="none"
    ),
    "separator": _option(
        str, "What separates several labels in a cell.", metavar="TEXT", show_default="none"
    ),
    "max_images": _option(
        int,
        "Maximum number of images, drawn evenly over the classes.",
        show_default=str(defaults.MAX_IMAGES),
    ),
    "own_splits": _option(
        str,
        "Whether the source's own splits count: use or ignore.",
        metavar="use|ignore",
        show_default="use",
    ),
    "split_list": _option(
        list[str],
        "Text files that list the images of splits; others are for training.",
        metavar="SPLIT=FILE",
        show_default="none",
    ),
    "split": _option(
        str,
        "Fractions of the splits.",
        metavar="T,V,T",
        show_default=",".join(map(str, defaults.SPLIT)),
    ),
    "seed": options.Seed,
    "sampler": _option(str, "tpe or random.", show_default=defaults.SAMPLER),
    "pruner": _option(
        str,
        "Stops poor trials early: auto, median, percentile, hyperband, halving or none.",
        show_default=defaults.PRUNER,
    ),
    "max_parameters": _option(
        int, "Larger networks are not built.", show_default=f"{defaults.MAX_PARAMETERS:,}"
    ),
    "max_memory": _option(
        float,
        "Networks that need more memory are not built.",
        metavar="MB",
        show_default="by machine",
    ),
    "max_operations": _option(
        float,
        "Networks with more million operations per image are not built.",
        metavar="M",
        show_default="by size",
    ),
    "strict": _option(
        bool, "Refuse a source with broken images instead of leaving them out.", "--strict"
    ),
    "allow_leaks": _option(
        bool, "Use near duplicates and groups in several splits as they are.", "--allow-leaks"
    ),
    "fix_leaks": _option(
        bool,
        "Keep near duplicates and groups in one split only: test, then validation.",
        "--fix-leaks",
    ),
    "warm_start": _option(
        str,
        "Try the best configs of an earlier study first, even one on other data.",
        metavar="STUDY",
    ),
    "warm_start_store": _option(
        str, "The store of that study.", metavar="URL", show_default="the same"
    ),
}
STUDY_OPTIONS = tuple(_OPTIONS)
DATA_OPTIONS = (
    "image_size", "color", "resize", "window", "classes", "merge", "exclude", "label_from",
    "group_from", "group_tag", "slices", "volume", "pages", "masks", "path_column",
    "label_column", "group_column", "frame_column", "split_column", "weight_column", "join",
    "root", "where", "positive", "separator", "max_images", "own_splits", "split_list", "split",
    "seed", "strict", "allow_leaks", "fix_leaks",
)  # fmt: skip
LISTS = ("families", "backbones", "classes", "exclude", "where")
"""Options whose values are separated by commas."""
SEPARATORS = {"merge": ";"}
"""Of values that are not separated by commas."""
Command = Callable[..., None]


@dataclass(frozen=True, slots=True)
class StudyOptions:
    """The settings of a study on a command line: its source, and values by (table, key)."""

    source: str
    values: Options


def with_study_options(*names: str) -> Callable[[Command], Command]:
    """Prepend SOURCE and the named options to a command's, which receives `StudyOptions`."""
    keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD
    source = inspect.Parameter("source", keyword, annotation=options.Source)
    shared = [
        inspect.Parameter(name, keyword, default=None, annotation=_OPTIONS[name]) for name in names
    ]

    def decorate(command: Command) -> Command:
        own = list(inspect.signature(command).parameters.values())[1:]

        @functools.wraps(command)
        def with_shared(source: str, **values: Any) -> None:
            given = {name: _parse(name, values.pop(name)) for name in names}
            command(StudyOptions(source, by_key(**given)), **values)

        parameters = [source, *shared, *own]
        with_shared.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_shared.__annotations__ = {it.name: it.annotation for it in parameters}
        return with_shared

    return decorate


def _parse(name: str, value: Any) -> Any:
    """Parse the value of an option that is a list, which may also be given several times."""
    if isinstance(value, list):
        value = SEPARATORS.get(name, ",").join(value) if value else None
    if name in options.PARSERS:
        return options.PARSERS[name](value)
    if name in LISTS and value is not None:
        return [part.strip() for part in value.split(",")]
    return value

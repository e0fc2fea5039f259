"""The study-file key of each command-line option and each argument of `search.run`."""

from collections.abc import Mapping
from typing import Any

Options = Mapping[tuple[str, str], Any]
"""Values that override the study file, by (table, key); None if not given."""

OPTION_KEYS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "study": (("study", "name"),),
    "priority": (("study", "priority"),),
    "workers": (("study", "workers"),),
    "gpus": (("study", "gpus"),),
    "trainers_per_gpu": (("study", "trainers_per_gpu"),),
    "warm_start": (("study", "warm_start"),),
    "warm_start_store": (("study", "warm_start_store"),),
    "source": (("data", "source"),),
    "image_size": (("data", "image_size"),),
    "color": (("data", "color"),),
    "resize": (("data", "resize"),),
    "window": (("data", "window"),),
    "classes": (("data", "classes"),),
    "merge": (("data", "merge"),),
    "exclude": (("data", "exclude"),),
    "label_from": (("data", "label_from"),),
    "group_from": (("data", "group_from"),),
    "group_tag": (("data", "group_tag"),),
    "slices": (("data", "slices"),),
    "volume": (("data", "volume"),),
    "pages": (("data", "pages"),),
    "masks": (("data", "masks"),),
    "path_column": (("data", "path_column"),),
    "label_column": (("data", "label_column"),),
    "group_column": (("data", "group_column"),),
    "frame_column": (("data", "frame_column"),),
    "split_column": (("data", "split_column"),),
    "weight_column": (("data", "weight_column"),),
    "join": (("data", "join"),),
    "root": (("data", "root"),),
    "where": (("data", "where"),),
    "positive": (("data", "positive"),),
    "separator": (("data", "separator"),),
    "max_images": (("data", "max_images"),),
    "own_splits": (("data", "own_splits"),),
    "split_list": (("data", "split_list"),),
    "split": (("data", "split"),),
    "seed": (("data", "seed"), ("search", "seed")),
    "strict": (("data", "strict"),),
    "allow_leaks": (("data", "allow_leaks"),),
    "fix_leaks": (("data", "fix_leaks"),),
    "families": (("space", "families"),),
    "backbones": (("space", "backbone"),),
    "weights": (("transfer", "weights"),),
    "weights_mode": (("transfer", "weights_mode"),),
    "transfer_image_size": (("transfer", "image_size"),),
    "max_epochs": (("training", "max_epochs"),),
    "sampler": (("search", "sampler"),),
    "pruner": (("search", "pruner"),),
    "max_parameters": (("search", "max_parameters"),),
    "max_memory": (("search", "max_memory"),),
    "max_operations": (("search", "max_operations"),),
    "trials": (("budget", "trials"),),
    "timeout": (("budget", "timeout"),),
    "store": (("store", "url"),),
    "artifacts": (("store", "artifacts"),),
}
OPTION_NAMES: Mapping[tuple[str, str], str] = {
    key: "SOURCE" if name == "source" else f"--{name.replace('_', '-')}"
    for name, keys in OPTION_KEYS.items()
    for key in keys
}
"""Command-line name of each key, for messages."""


def by_key(**values: Any) -> dict[tuple[str, str], Any]:
    """Return option values, given by name, as a dict by (table, key)."""
    return {key: value for name, value in values.items() for key in OPTION_KEYS[name]}

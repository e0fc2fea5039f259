"""Pretrained backbones: the classification networks of `keras.applications`, loaded lazily."""

from spaces.models.backbones.build import build_backbone, unfreeze_top
from spaces.models.backbones.catalog import Backbone, Mode, backbone_names, find_backbone
from spaces.models.backbones.cost import BackboneCost, backbone_cost, check_image_size
from spaces.models.backbones.download import (
    fetch_imagenet_weights,
    has_imagenet_weights,
    imagenet_file,
)
from spaces.models.backbones.memory import transfer_memory_mb
from spaces.models.backbones.preprocess import preprocess
from spaces.models.backbones.weights import RANDOM_WEIGHTS, Weights

BACKBONES = backbone_names()
"""The names of all backbones, sorted."""

__all__ = [
    "BACKBONES",
    "RANDOM_WEIGHTS",
    "Backbone",
    "BackboneCost",
    "Mode",
    "Weights",
    "backbone_cost",
    "build_backbone",
    "check_image_size",
    "fetch_imagenet_weights",
    "find_backbone",
    "has_imagenet_weights",
    "imagenet_file",
    "preprocess",
    "transfer_memory_mb",
    "unfreeze_top",
]

"""Keras models and optimizers of configs; Keras is loaded when one is built."""

from spaces.keras_models.model import build_extractor, build_head, build_model, build_optimizer

__all__ = ["build_extractor", "build_head", "build_model", "build_optimizer"]

"""One epoch of a learning curve; a trainer, which needs no database, loads this module alone."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EpochRow:
    """Results of one epoch of training.

    `epoch` counts from 1 through all phases; `seconds` is wall time, validation included;
    `memory_mb` is the trainer's resident memory at the end; `phase` is 2 for fine-tuning, else 1.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float
    memory_mb: float
    phase: int = 1

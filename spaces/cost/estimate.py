"""Cost and layers of a network, from its config alone: without Keras or training."""

from dataclasses import dataclass
from math import prod

from spaces.config import Config
from spaces.cost.cost_layers import IMAGE, CostLayers, DrawnLayer, Shape
from spaces.cost.training_memory import training_memory_mb
from spaces.models.backbones import transfer_memory_mb
from spaces.models.network import build_network


@dataclass(frozen=True, slots=True)
class Cost:
    """What building and training one config takes.

    `parameters` counts weights as Keras does, `memory_mb` is the peak growth of a trainer's
    resident memory at the config's batch size, `operations` are those of one image's forward pass
    (a multiply-add is 2), and `feature_maps` are names and shapes of layers.
    """

    parameters: int
    trainable_parameters: int
    memory_mb: float
    operations: int
    feature_maps: tuple[tuple[str, Shape], ...]


def predict_cost(config: Config, image_shape: tuple[int, int, int], n_classes: int) -> Cost:
    """Predict the cost of training a config on images (height, width, channels).

    Raises:
        SpaceError: If the images are too small for the network.
    """
    layers = CostLayers(config.layers)
    layers.memory.add_map(prod(image_shape), copies=2)  # raw and normalized pixels
    build_network(image_shape, config.network, config.head, n_classes, layers)
    memory_mb = training_memory_mb(
        layers.memory,
        layers.parameters - sum(backbone.parameters for backbone in layers.backbones),
        config.batch_size,
        settings=config.layers,
        optimizer=config.optimizer,
    ) + sum(
        transfer_memory_mb(backbone, config.batch_size, n_slots=config.optimizer.n_slots)
        for backbone in layers.backbones
    )
    return Cost(
        parameters=layers.parameters,
        trainable_parameters=layers.parameters - layers.fixed_parameters,
        memory_mb=memory_mb,
        operations=layers.operations + 2 * prod(image_shape),  # scale and shift of the pixels
        feature_maps=layers.feature_maps,
    )


def draw_network(
    config: Config, image_shape: tuple[int, int, int], n_classes: int
) -> tuple[DrawnLayer, ...]:
    """Return the layers of a network in the order of computation, the image first.

    Raises:
        SpaceError: If the images are too small for the network.
    """
    layers = CostLayers(config.layers)
    build_network(image_shape, config.network, config.head, n_classes, layers)
    return (DrawnLayer(IMAGE, IMAGE, image_shape, 0, ()), *layers.layers)

from dataclasses import dataclass

from spaces import Family, register_family
from spaces.models import conv_block
from spaces.parameters import IntRange


@dataclass(frozen=True, slots=True)
class WideNetwork:
    width: int

    def build(self, x, layers):
        x = conv_block(x, self.width, 5, layers, name="wide")
        return layers.max_pool(x, 2, name="pool")


@register_family("wide")
class Wide(Family):
    network = WideNetwork

    def parameters(self):
        return {"wide_width": IntRange(8, 256, log=True)}

    def suggest(self, draw):
        return WideNetwork(width=draw.integer("wide_width"))

    def known_good(self):
        return [{"wide_width": 64, "learning_rate": 0.001}]

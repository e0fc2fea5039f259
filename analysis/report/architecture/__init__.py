"""Drawing of a network as SVG: blocks of layers, their layout, and how they look.

The layers of a config are computed by `spaces.draw_network`.
"""

from analysis.report.architecture.blocks import group_layers
from analysis.report.architecture.drawing import draw_architecture, lay_out
from analysis.report.architecture.geometry import Box, Canvas, Line

__all__ = [
    "Box",
    "Canvas",
    "Line",
    "draw_architecture",
    "group_layers",
    "lay_out",
]

"""Drawing of a network as SVG, from the layers that `spaces.draw_network` computes."""

from analysis.report.architecture.blocks import group_layers
from analysis.report.architecture.drawing import draw_architecture, lay_out
from analysis.report.architecture.geometry import Box, Canvas, Line

__all__ = ["Box", "Canvas", "Line", "draw_architecture", "group_layers", "lay_out"]

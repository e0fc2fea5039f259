"""A network drawn layer by layer, as SVG: what belongs together, where it stands, how it looks."""

from analysis.report.architecture.blocks import Block, Layer, group_layers
from analysis.report.architecture.drawing import Panel, draw_architecture, lay_out
from analysis.report.architecture.geometry import Box, Canvas, Line

__all__ = [
    "Block",
    "Box",
    "Canvas",
    "Layer",
    "Line",
    "Panel",
    "draw_architecture",
    "group_layers",
    "lay_out",
]

"""A network drawn layer by layer, as SVG: what belongs together, where it stands, how it looks."""

from analysis.report.architecture.blocks import Block, Layer, group_layers
from analysis.report.architecture.drawing import Panel, draw_architecture, lay_out
from analysis.report.architecture.geometry import Box, Line, Sheet

__all__ = [
    "Block",
    "Box",
    "Layer",
    "Line",
    "Panel",
    "Sheet",
    "draw_architecture",
    "group_layers",
    "lay_out",
]

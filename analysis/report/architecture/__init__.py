"""A network drawn layer by layer, as SVG: what belongs together, where it stands, how it looks."""

from analysis.report.architecture.blocks import Block, group_layers
from analysis.report.architecture.drawing import Panel, draw_architecture

__all__ = ["Block", "Panel", "draw_architecture", "group_layers"]

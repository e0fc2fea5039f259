"""Pictures of trials and studies for the dashboard, as PNG.

They are deterministic and thread-safe; titles and names are shown literally. matplotlib is loaded
with the first picture.
"""

from analysis.dashboard.pictures.architecture import draw_architecture
from analysis.dashboard.pictures.confusion import draw_confusion
from analysis.dashboard.pictures.curve import draw_curve
from analysis.dashboard.pictures.samples import draw_samples

__all__ = ["draw_architecture", "draw_confusion", "draw_curve", "draw_samples"]

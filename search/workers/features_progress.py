"""The progress of a trainer that computes the features of a backbone, in words."""

import time
from dataclasses import dataclass

ACTIVITY_S = 1.0


@dataclass(slots=True)
class FeaturesProgress:
    """The progress of a trainer that computes features, as a text once a second."""

    is_shown: bool = False
    began_at: float = 0.0
    shown_at: float = 0.0

    def describe(self, done: int, total: int) -> str | None:
        """Return the text to show, or None if the last one is less than a second old."""
        now = time.monotonic()
        if done == 0 or not self.is_shown:
            self.began_at = now
        if self.is_shown and now - self.shown_at < ACTIVITY_S:
            return None
        self.is_shown, self.shown_at = True, now
        words = f"features of {done:,}/{total:,} images"
        if done == 0 or now == self.began_at:
            return words
        left_s = (now - self.began_at) / done * (total - done)
        return f"{words}, about {left_s:.0f} s left"

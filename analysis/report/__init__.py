"""The best-trial report: what a study found, as facts, as figures, and as files to hand in."""

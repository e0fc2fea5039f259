"""The store: studies, trials, workers and files in SQLite or PostgreSQL, beside Optuna's tables.

All SQL is in this package; how studies are searched is in `search`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

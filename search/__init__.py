"""The service: settings, data, training, workers, launchers and the command line.

`search.run`, `search.confirm` and `search.report` are the commands as functions; `gather_facts`
collects the facts of a report. Each is loaded on first use to keep the command line fast.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

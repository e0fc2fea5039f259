"""Results of a study (ranking, families, status), its report and its dashboard.

Figures and tables take the `facts` of a study from `search.gather_facts`, and `lang`, the language
of their labels: `en` or `ru`. They need Plotly and pandas, which are loaded on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

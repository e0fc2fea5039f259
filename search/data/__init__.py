"""Images in: a source of images becomes one prepared file that every worker maps.

`inspect_source` tells what a source holds, `prepare` decodes it once, `PreparedSet` reads it.
"""

from search.data.cache import default_cache_dir
from search.data.preparation import prepare
from search.data.prepared import PreparedSet
from search.data.settings import DataSettings
from search.data.source_api import Progress
from search.data.summary import SourceSummary, inspect_source

__all__ = [
    "DataSettings",
    "PreparedSet",
    "Progress",
    "SourceSummary",
    "default_cache_dir",
    "inspect_source",
    "prepare",
]

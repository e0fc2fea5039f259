"""Sources of images, and the prepared set: one file per source that every worker maps into memory.

`search.training` trains on it; `search.artifacts` copies it to other machines.
"""

from search.data.cache import default_cache_dir
from search.data.examination import ExaminedSource, examine_source, inspect_source
from search.data.preparation import prepare
from search.data.prepared_file import PreparedSet
from search.data.settings import DataSettings
from search.data.source_api import Progress
from search.data.summary import SourceSummary

__all__ = [
    "DataSettings",
    "ExaminedSource",
    "PreparedSet",
    "Progress",
    "SourceSummary",
    "default_cache_dir",
    "examine_source",
    "inspect_source",
    "prepare",
]

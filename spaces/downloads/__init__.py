"""Files from web servers: pretrained weights, and public sets for `search.data`.

It needs the standard library and fasteners only.
"""

from spaces.downloads.files import Download, download, has_hash
from spaces.downloads.requests import check_url

__all__ = ["Download", "check_url", "download", "has_hash"]

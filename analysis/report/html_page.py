"""What pages are embedded with: style, scripts, and the policy that permits nothing else.

A page is a single file that opens without a network. Its content security policy keeps browsers
from loading anything else, and from running scripts other than the two in it.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

PACKAGE = "analysis.report"
"""Has the templates that all pages share."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script of the page, and the hash by which the policy permits it."""

    text: Markup
    csp_source: str

    @classmethod
    def of(cls, text: str) -> "Script":
        """Return a script to embed in a page.

        Raises:
            ValueError: If it would end its own tag.
        """
        if "</script" in text.lower() or "<!--" in text:
            raise ValueError("Expected a script without an end tag or a comment of HTML in it.")
        digest = b64encode(sha256(text.encode("utf-8")).digest()).decode("ascii")
        return cls(Markup(text), f"'sha256-{digest}'")  # Ours, or Plotly's.


def content_policy(scripts: Mapping[str, Script]) -> str:
    """Return the content security policy; Plotly adds inline styles while it draws."""
    allowed = " ".join(script.csp_source for script in scripts.values())
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


@cache
def page_scripts() -> Mapping[str, Script]:
    """Return Plotly, and the script that draws the figures of a page."""
    return {"plotly": Script.of(get_plotlyjs()), "page": Script.of(str(resource("report.js")))}


@cache
def resource(name: str, package: str = PACKAGE) -> Markup:
    """Return a file among the templates of a package, which needs no escaping."""
    return Markup(files(package).joinpath("templates", name).read_text(encoding="utf-8"))


@cache
def environment(package: str = PACKAGE) -> Environment:
    """Return the environment of a package's templates, and of those that all pages share."""
    loaders = [PackageLoader(it) for it in dict.fromkeys((package, PACKAGE))]
    return Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

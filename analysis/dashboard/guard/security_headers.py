"""Security headers of every response. Artifacts are never active content."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.dashboard.guard.requests import Request

PAGE_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "frame-src 'self'",
        "object-src 'none'",
        "connect-src 'self'",
        "style-src 'self' data: 'unsafe-inline'",
        "script-src 'self' 'unsafe-eval'",  # Plotly's parallel coordinates compile code.
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    )
)
"""The policy of optuna-dashboard's own page, restricted further, for every response."""
ARTIFACT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""Allows nothing but inline styles, for the page that browsers create around an image."""
DEFAULT_TYPE = "application/octet-stream"
INLINE_TYPES = {
    "image/png": "image/png",
    "image/jpeg": "image/jpeg",
    "image/gif": "image/gif",
    "image/webp": "image/webp",
    "text/plain": "text/plain; charset=utf-8",
    "text/csv": "text/csv; charset=utf-8",
}
"""Media types that browsers show without running anything."""
_OURS = frozenset(
    {
        "content-security-policy",
        "content-security-policy-report-only",
        "x-content-type-options",
        "x-frame-options",
        "cross-origin-resource-policy",
        "server",
    }
)
_WITHOUT_BODY = ("204", "304")


def secure_headers(
    headers: Iterable[tuple[str, str]], request: "Request | None", status: str, *, is_private: bool
) -> list[tuple[str, str]]:
    """Return the headers of a response, with the guard's in the place of the application's.

    `request` is None if it could not be read. Proxies must not cache a private response, which
    needs a token.
    """
    kept = [(name, value) for name, value in headers if not _is_ours(name.lower())]
    if status.startswith("304"):  # The browser has the other headers from the first response.
        return kept
    is_artifact = request is not None and request.segments[0] == "artifacts"
    if is_artifact:
        kept = _make_passive(kept, status[:3])
    kept += [
        ("Content-Security-Policy", ARTIFACT_POLICY if is_artifact else PAGE_POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ]
    names = {name.lower() for name, _ in kept}
    if "referrer-policy" not in names:
        kept.append(("Referrer-Policy", "no-referrer"))
    if is_private and "cache-control" not in names:
        kept.append(("Cache-Control", "private"))
    return kept


def _is_ours(name: str) -> bool:
    """Whether the guard sets a header itself, or removes it."""
    return name in _OURS or name.startswith("access-control-")


def _make_passive(headers: list[tuple[str, str]], code: str) -> list[tuple[str, str]]:
    """Make browsers show an artifact as an image or text, or else save it as a file."""
    replaced = {"content-type", "content-disposition"}
    kept = [(name, value) for name, value in headers if name.lower() not in replaced]
    if code in _WITHOUT_BODY:
        return kept
    if code >= "300":
        return [*kept, ("Content-Type", INLINE_TYPES["text/plain"])]
    types = [value for name, value in headers if name.lower() == "content-type"]
    given = types[0].partition(";")[0].strip().lower() if len(types) == 1 else DEFAULT_TYPE
    if given in INLINE_TYPES:
        return [*kept, ("Content-Type", INLINE_TYPES[given])]
    return [*kept, ("Content-Type", DEFAULT_TYPE), ("Content-Disposition", "attachment")]

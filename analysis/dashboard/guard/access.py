"""What a dashboard allows, and to whom."""

from dataclasses import dataclass, field

MAX_BODY_BYTES = 2**20
"""The largest body that any request may have."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may see a dashboard, and whether they may change its store.

    Attributes:
        token: What they have to know; None lets in everybody who reaches the server.
        allows_edit: Whether requests that change the store are passed on.
        hosts: Names, beside those of the loopback, that requests may name in `Host`; None allows
            any. Without a token it has to be given: a page of another site could have its own
            name point here, and would then be taken for ours (DNS rebinding).
    """

    token: str | None = field(repr=False)
    allows_edit: bool
    hosts: frozenset[str] | None

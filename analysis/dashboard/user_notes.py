"""What people write in the dashboard, which stands below what we say of a study or a trial."""

from collections.abc import Mapping
from typing import Any

from optuna_dashboard._note import get_note_from_system_attrs

MARK = "\n\n---\n\n*Your notes:*\n\n"


def with_own_note(
    ours: str, attributes: Mapping[str, Any], trial_id: int | None, *, allows_edit: bool
) -> dict[str, Any]:
    """Gives the note that a page shows, as optuna-dashboard describes one.

    Args:
        ours: What we say.
        attributes: Of the study, where the dashboard keeps what somebody wrote.
        trial_id: Whose note it is, None for the study's.
        allows_edit: Whether it may be edited: where one's own begins is marked, then, so that ours
            is known when it is saved, though it may have changed.
    """
    own = get_note_from_system_attrs(dict(attributes), trial_id)
    is_marked = ours and (own["body"] or allows_edit)
    body = f"{ours}{MARK}{own['body']}" if is_marked else ours or own["body"]
    return {"version": own["version"], "body": body}


def only_own(body: str, ours: str) -> str:
    """Gives what somebody wrote of a note that was edited as it was shown."""
    _, mark, own = body.partition(MARK)
    return own.strip() if mark else body.removeprefix(ours).strip()

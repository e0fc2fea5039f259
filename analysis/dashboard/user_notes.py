"""What people write in the dashboard, which stands below what we say of a study or a trial."""

from collections.abc import Mapping
from typing import Any

from optuna_dashboard._note import get_note_from_system_attrs

USER_NOTES_HEADING = "\n\n---\n\n*Your notes:*\n\n"


def merge_user_note(
    generated: str, attributes: Mapping[str, Any], trial_id: int | None, *, allows_edit: bool
) -> dict[str, Any]:
    """Return the note that a page shows, as optuna-dashboard describes one.

    Args:
        generated: What we say.
        attributes: Of the study, where the dashboard keeps what somebody wrote.
        trial_id: Whose note it is, None for the study's.
        allows_edit: Whether it may be edited: where one's own begins is marked, then, so that ours
            is known when it is saved, though it may have changed.
    """
    user_note = get_note_from_system_attrs(dict(attributes), trial_id)
    has_heading = generated and (user_note["body"] or allows_edit)
    body = (
        f"{generated}{USER_NOTES_HEADING}{user_note['body']}"
        if has_heading
        else generated or user_note["body"]
    )
    return {"version": user_note["version"], "body": body}


def extract_user_note(body: str, generated: str) -> str:
    """Return what somebody wrote of a note that was edited as it was shown."""
    _, mark, user_note = body.partition(USER_NOTES_HEADING)
    return user_note.strip() if mark else body.removeprefix(generated).strip()

"""Notes that users write in the dashboard, shown below the generated note."""

from collections.abc import Mapping
from typing import Any

from analysis.dashboard.optuna_dashboard_internals import get_note_from_system_attrs

USER_NOTES_HEADING = "\n\n---\n\n*Your notes:*\n\n"


def merge_user_note(
    generated: str, attributes: Mapping[str, Any], trial_id: int | None, *, allows_edit: bool
) -> dict[str, Any]:
    """Return the note that a page shows, in optuna-dashboard's form.

    A note that may be edited has a heading before the user's part, by which that part is found
    when it is saved, even if the generated part has changed. `attributes` are system attributes
    of the study; `trial_id` is None for the study's note.
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
    """Return the user's part of an edited note."""
    _, mark, user_note = body.partition(USER_NOTES_HEADING)
    return user_note.strip() if mark else body.removeprefix(generated).strip()

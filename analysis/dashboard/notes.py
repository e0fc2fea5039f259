def trial_note(row, *, max_epochs=None):
    return f"family {row.params.get('family')}"


def study_note(status, *, data, samples_url, cautions=()):
    return f"# {status.record.name}\n\n![s]({samples_url})"

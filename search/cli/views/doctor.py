"""Output of `doctor`."""

from rich.console import Console

from search.cli.console import print_line
from search.doctor import DoctorReport, Finding


def show_doctor_report(console: Console, report: DoctorReport) -> None:
    """Show what `doctor` fixed and what is left."""
    for finding in report.fixed:
        print_line(console, f"fixed: {_title(finding)}")
    for finding in report.left:
        kind = "wrong" if finding.is_wrong else "note"
        style = "red" if finding.is_wrong else "yellow"
        print_line(console, f"{kind}: {_title(finding)}", style=style)
        print_line(console, f"  {finding.remedy}")
    if not report.left:
        print_line(console, f"{report.store}: nothing is wrong.")
    elif any(finding.fix is not None for finding in report.left):
        print_line(console, "convsearch doctor --fix fixes what it can.")


def _title(finding: Finding) -> str:
    return f"{finding.where}: {finding.what}"

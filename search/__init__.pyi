from .api import run as run
from .evaluation.confirm import confirm as confirm
from .reports.gather_facts import gather_facts as gather_facts
from .reports.report import report as report

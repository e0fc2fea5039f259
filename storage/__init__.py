"""The shared record of studies: everything that knows it is SQL."""

from storage.copies import Copy, copy_trials
from storage.epochs import EpochRow, load_curve, load_curves, longest_epoch_s, record_epoch
from storage.errors import (
    LeaseLostError,
    StoreError,
    StoreUrlError,
    StoreVersionError,
    StudyNotFoundError,
)
from storage.leases import (
    Lease,
    attach_trial,
    claim_budget,
    count_configs,
    drop_claim,
    last_endings,
    last_kinds,
    list_open,
    record_config,
    take_released,
)
from storage.outcomes import Outcome
from storage.overview import StudyOverview, list_overviews
from storage.recovery import finish, give_back, needs_recovery, recover, set_waiting
from storage.removal import count_strays, delete_strays, delete_study
from storage.service import OpenRow, choose_study, join_next, list_open_studies
from storage.store import Store, using
from storage.studies import (
    StudyRecord,
    count_done,
    create_study,
    end_study,
    find_study_id,
    list_studies,
    load_optuna_study,
    load_study,
    set_budget,
    set_stopped,
    update_settings,
)
from storage.trials import Curve, TrialRow, load_trials
from storage.url import hide_password
from storage.workers import (
    BEAT_INTERVAL_S,
    GRACE_S,
    WorkerRow,
    beat,
    list_workers,
    register_worker,
    remove_worker,
    show_activity,
)

__all__ = [
    "BEAT_INTERVAL_S",
    "GRACE_S",
    "Copy",
    "Curve",
    "EpochRow",
    "Lease",
    "LeaseLostError",
    "OpenRow",
    "Outcome",
    "Store",
    "StoreError",
    "StoreUrlError",
    "StoreVersionError",
    "StudyNotFoundError",
    "StudyOverview",
    "StudyRecord",
    "TrialRow",
    "WorkerRow",
    "attach_trial",
    "beat",
    "choose_study",
    "claim_budget",
    "copy_trials",
    "count_configs",
    "count_done",
    "count_strays",
    "create_study",
    "delete_strays",
    "delete_study",
    "drop_claim",
    "end_study",
    "find_study_id",
    "finish",
    "give_back",
    "hide_password",
    "join_next",
    "last_endings",
    "last_kinds",
    "list_open",
    "list_open_studies",
    "list_overviews",
    "list_studies",
    "list_workers",
    "load_curve",
    "load_curves",
    "load_optuna_study",
    "load_study",
    "load_trials",
    "longest_epoch_s",
    "needs_recovery",
    "record_config",
    "record_epoch",
    "recover",
    "register_worker",
    "remove_worker",
    "set_budget",
    "set_stopped",
    "set_waiting",
    "show_activity",
    "take_released",
    "update_settings",
    "using",
]

"""The shared record of studies: everything that knows it is SQL."""

from storage.clearing import delete_trials
from storage.copies import Copy, copy_trials
from storage.drafts import Draft, open_trial
from storage.epochs import (
    EpochRow,
    count_epochs,
    load_curve,
    load_curves,
    longest_epoch_s,
    record_epoch,
)
from storage.errors import (
    LeaseLostError,
    StoreAwayError,
    StoreError,
    StoreFullError,
    StoreUrlError,
    StoreVersionError,
    StudyNotFoundError,
)
from storage.files import delete_files, get_file, list_files, put_file
from storage.leases import (
    Lease,
    begin_trial,
    count_configs,
    has_room,
    last_endings,
    last_kinds,
    list_open,
    record_config,
    take_released,
)
from storage.outcomes import Outcome
from storage.overview import StudyOverview, list_overviews
from storage.reasons import give_reason, is_of_store
from storage.recovery import finish, give_back, needs_recovery, recover, recover_once
from storage.removal import delete_study
from storage.service import OpenRow, choose_study, join_next, list_open_studies
from storage.store import Store, using
from storage.strays import count_strays, delete_strays
from storage.studies import (
    StudyRecord,
    count_done,
    create_study,
    end_study,
    find_study,
    find_study_id,
    list_all_studies,
    list_studies,
    load_optuna_study,
    load_study,
    set_budget,
    set_stopped,
    update_settings,
)
from storage.trial_queries import Curve, list_kept
from storage.trials import TrialRow, TrialTable, load_trials
from storage.url import hide_passwords
from storage.workers import (
    BEAT_INTERVAL_S,
    GRACE_S,
    Lookout,
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
    "Draft",
    "EpochRow",
    "Lease",
    "LeaseLostError",
    "Lookout",
    "OpenRow",
    "Outcome",
    "Store",
    "StoreAwayError",
    "StoreError",
    "StoreFullError",
    "StoreUrlError",
    "StoreVersionError",
    "StudyNotFoundError",
    "StudyOverview",
    "StudyRecord",
    "TrialRow",
    "TrialTable",
    "WorkerRow",
    "beat",
    "begin_trial",
    "choose_study",
    "copy_trials",
    "count_configs",
    "count_done",
    "count_epochs",
    "count_strays",
    "create_study",
    "delete_files",
    "delete_strays",
    "delete_study",
    "delete_trials",
    "end_study",
    "find_study",
    "find_study_id",
    "finish",
    "get_file",
    "give_back",
    "give_reason",
    "has_room",
    "hide_passwords",
    "is_of_store",
    "join_next",
    "last_endings",
    "last_kinds",
    "list_all_studies",
    "list_files",
    "list_kept",
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
    "open_trial",
    "put_file",
    "record_config",
    "record_epoch",
    "recover",
    "recover_once",
    "register_worker",
    "remove_worker",
    "set_budget",
    "set_stopped",
    "show_activity",
    "take_released",
    "update_settings",
    "using",
]

"""Our own tables, which refer to the ids of Optuna's tables."""

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    event,
)

SCHEMA_VERSION = 4
"""Raised with each change of these tables; a store with a higher version is refused."""

MIGRATIONS: dict[int, tuple[str, ...]] = {
    2: ("ALTER TABLE convsearch_epochs ADD COLUMN phase INTEGER NOT NULL DEFAULT 1",),
    3: (
        "ALTER TABLE convsearch_studies ADD COLUMN priority INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE convsearch_studies ADD COLUMN is_stopped BOOLEAN NOT NULL DEFAULT FALSE",
        "ALTER TABLE convsearch_workers ADD COLUMN device TEXT NOT NULL DEFAULT 'cpu'",
        "ALTER TABLE convsearch_workers ADD COLUMN clock_ahead_s FLOAT NOT NULL DEFAULT 0",
        "DELETE FROM convsearch_leases WHERE trial_id IS NULL",
        "ALTER TABLE convsearch_workers ADD COLUMN activity TEXT",
    ),
    4: (),  # New tables only; missing tables are always created.
}
"""Statements that migrate a store to each version from the one before."""

metadata = MetaData()

versions = Table(
    "convsearch_version",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
)

studies = Table(
    "convsearch_studies",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("settings", Text, nullable=False),
    Column("n_trials", Integer),
    Column("timeout_s", Double),
    Column("active_s", Double, nullable=False, default=0.0),
    Column("beat_at", Double, nullable=False, default=0.0),
    Column("judged_from", Double, nullable=False, default=0.0),
    Column("end_reason", Text),
    Column("has_failed", Boolean, nullable=False, default=False),
    Column("priority", Integer, nullable=False, default=0),
    Column("is_stopped", Boolean, nullable=False, default=False),
)

workers = Table(
    "convsearch_workers",
    metadata,
    Column("worker_id", String(32), primary_key=True),
    Column("study_id", Integer, nullable=False, index=True),
    Column("host", Text, nullable=False),
    Column("machine", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_started_at", Double, nullable=False),
    Column("last_seen", Double, nullable=False),
    Column("device", Text, nullable=False, default="cpu"),
    Column("clock_ahead_s", Double, nullable=False, default=0.0),
    Column("activity", Text),
)

leases = Table(
    "convsearch_leases",
    metadata,
    Column("lease_id", Integer, primary_key=True),
    Column("study_id", Integer, nullable=False),
    Column("trial_id", Integer, unique=True),
    Column("trial_number", Integer),
    Column("worker_id", String(32)),
    Column("generation", Integer, nullable=False, default=0),
    Column("n_losses", Integer, nullable=False, default=0),
    Column("config_key", String(64)),
    Column("outcome", Text),
    Column("kind", String(16)),
    Column("ended_at", Double),
    Column("counts", Boolean, nullable=False, default=True),
    Column("told", Boolean, nullable=False, default=False),
    Index("ix_convsearch_leases_study", "study_id", "kind"),
    Index("ix_convsearch_leases_config", "study_id", "config_key"),
)

epochs = Table(
    "convsearch_epochs",
    metadata,
    Column("trial_id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("phase", Integer, nullable=False, server_default="1"),
    Column("train_loss", Double),
    Column("train_accuracy", Double),
    Column("val_loss", Double),
    Column("val_accuracy", Double),
    Column("learning_rate", Double),
    Column("seconds", Double),
    Column("memory_mb", Double),
)

predictions = Table(
    "convsearch_answers",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("trial_number", Integer, primary_key=True, autoincrement=False),
    Column("split", String(16), primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

test_uses = Table(
    "convsearch_test_uses",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("study", String(512), primary_key=True),
    Column("trial_number", Integer, primary_key=True, autoincrement=False),
    Column("creation", String(64), primary_key=True),
    Column("command", Text, nullable=False),
    Column("used_at", Double, nullable=False),
)

files = Table(
    "convsearch_files",
    metadata,
    Column("file_id", String(32), primary_key=True),
    Column("name", String(255), nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64)),
    Column("touched_at", Double, nullable=False),
)

chunks = Table(
    "convsearch_chunks",
    metadata,
    Column("file_id", String(32), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)
event.listen(  # Weights do not compress, and trying takes longer than writing them.
    chunks,
    "after_create",
    DDL(  # type: ignore[no-untyped-call]
        "ALTER TABLE convsearch_chunks ALTER COLUMN data SET STORAGE EXTERNAL"
    ).execute_if(dialect="postgresql"),
)

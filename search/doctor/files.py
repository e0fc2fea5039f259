"""Checks of checkpoints that no trial needs, and of disk space."""

import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from search.artifacts import Artifacts, best_trial_numbers, trial_numbers_to_keep
from search.artifacts.stores import is_folder
from search.data import default_cache_dir
from search.doctor.finding import Finding
from search.errors import ArtifactError, StudyMismatchError
from search.settings.stored import StudySettings
from storage import Store, find_study_id, list_studies

LOW_SPACE_BYTES, CRITICAL_SPACE_BYTES = 2 * 2**30, 200 * 2**20
"""Enough for some days of a study, and too little for the checkpoints of its running trials."""


def check_artifacts(
    store: Store, url: str, all_settings: Mapping[str, StudySettings]
) -> list[Finding]:
    """Check the artifacts of all studies for missing weights and unneeded files."""
    findings = []
    known: dict[Path, set[str]] = {}
    for name, settings in all_settings.items():
        artifacts = Artifacts.of_study(settings, store, name)
        try:
            findings += _check_study(store, url, name, artifacts)
        except ArtifactError as error:
            remedy = "Its workers cannot keep checkpoints until this is repaired."
            findings.append(Finding("artifacts", f"study {name}", str(error), remedy))
        if artifacts.store.folder is not None:
            known.setdefault(artifacts.store.folder, set()).add(artifacts.name)
    for root, folders in known.items():
        findings += _unknown_folders(root, folders)
    return findings


def _check_study(store: Store, url: str, name: str, artifacts: Artifacts) -> list[Finding]:
    study_id = find_study_id(store, name)
    lost = artifacts.missing(best_trial_numbers(store, study_id, artifacts.n_best))
    findings = [_missing_weights(name, lost)] if lost else []
    unneeded = _unneeded(store, study_id, artifacts)
    if not unneeded:
        return findings
    sizes = artifacts.store.sizes(artifacts.name)
    n_bytes = sum(sizes.get(it, 0) for it in unneeded)
    return [
        *findings,
        Finding(
            "checkpoints",
            f"study {name}",
            f"{len(unneeded)} files ({n_bytes / 2**20:.1f} MB) belong to trials that no "
            "longer need them.",
            "--fix deletes them.",
            fix=partial(_delete_unneeded, url, name),
        ),
    ]


def _unneeded(store: Store, study_id: int, artifacts: Artifacts) -> Collection[str]:
    return artifacts.unneeded(partial(trial_numbers_to_keep, store, study_id, artifacts.n_best))


def _missing_weights(name: str, numbers: Sequence[int]) -> Finding:
    which = ", ".join(map(str, numbers))
    return Finding(
        "weights",
        f"study {name}",
        f"The weights of some of its best trials are missing: {which}.",
        f"Put the files back, or train one again: convsearch reproduce {name} {numbers[0]}",
        is_wrong=False,
    )


def _delete_unneeded(url: str, name: str) -> None:
    """Delete the files that are unneeded now, which may be fewer than before."""
    with Store.open(url, create=False) as store:
        artifacts = Artifacts.of_study(StudySettings.load(store, name), store, name)
        study_id = find_study_id(store, name)
        artifacts.store.delete(_unneeded(store, study_id, artifacts))


def check_disk_space(url: str, settings: Iterable[StudySettings]) -> list[Finding]:
    """Check the disks of artifacts, of the store and of prepared images."""
    roots = filter(is_folder, dict.fromkeys(it.artifacts for it in settings))
    places = {"prepared images": default_cache_dir()}
    file = Store.file_of(url)
    if file is not None:
        places = {"store": file.absolute().parent, **places}
    return [
        *_check_disks({f"artifacts {root}": Path(root) for root in roots}),
        *_check_disks(places),
    ]


def _check_disks(places: Mapping[str, Path]) -> list[Finding]:
    """Check each disk of some folders once."""
    by_disk: dict[int, tuple[str, Path]] = {}
    for what, folder in places.items():
        if folder.is_dir():
            by_disk.setdefault(folder.stat().st_dev, (what, folder))
    return [finding for what, folder in by_disk.values() for finding in _check_disk(what, folder)]


def _check_disk(what: str, folder: Path) -> list[Finding]:
    free = shutil.disk_usage(folder).free
    if free >= LOW_SPACE_BYTES:
        return []
    return [
        Finding(
            "room",
            f"{folder} ({what})",
            f"{free / 2**20:,.0f} MB of disk space are free.",
            "Free some disk space: checkpoints and results cannot be written to a full disk.",
            is_wrong=free < CRITICAL_SPACE_BYTES,
        )
    ]


def load_all_settings(store: Store) -> dict[str, StudySettings]:
    """Return the settings of the studies that this version can read."""
    found = {}
    for name in list_studies(store):
        try:
            found[name] = StudySettings.load(store, name)
        except StudyMismatchError:
            continue
    return found


def _unknown_folders(root: Path, known: set[str]) -> list[Finding]:
    """Find folders of no study of this store; they may belong to another store."""
    if not root.is_dir():
        return []
    unknown = [
        folder
        for folder in sorted(root.iterdir())
        if folder.name not in known and any(folder.glob("trial-*.safetensors"))
    ]
    return [
        Finding(
            "checkpoints",
            str(folder),
            "No study of this store keeps its files there.",
            "Delete the folder, unless it belongs to another store.",
            is_wrong=False,
        )
        for folder in unknown
    ]

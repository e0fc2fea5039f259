"""The `[space]` table of a plan: families, users' modules and narrowed parameters."""

from collections.abc import Sequence

from search.errors import SettingsError
from search.settings.plan import StudyPlan, TransferSettings
from search.trainer.pretrained_weights import DEFAULT_BACKBONES
from spaces import FamilyModule, SearchSpace, choose_families, find_family
from spaces.families import builtin_families, default_families
from spaces.models.backbones import find_backbone
from spaces.user_families import parameters_of
from spaces.wording import shorten


def read_space(plan: StudyPlan) -> tuple[tuple[FamilyModule, ...], SearchSpace]:
    """Load the modules that the `[space]` table names, and return them with the space."""
    table = dict(plan.space)
    modules = tuple(map(FamilyModule.find, _as_names("modules", table.pop("modules", ()))))
    own = [family for module in modules for family in module.load()]
    wanted = table.pop("families", (*default_families(), *own))
    names = choose_families(_as_names("families", wanted), own)
    if all(find_family(name).image_set != "transfer" for name in names):
        _check_no_transfer_options(plan, names)
    if any("backbone" in parameters_of(name) for name in names if name in builtin_families()):
        table["backbone"] = _read_backbones(table.get("backbone", DEFAULT_BACKBONES))
    return modules, SearchSpace.create(names, table)


def _check_no_transfer_options(plan: StudyPlan, families: Sequence[str]) -> None:
    """Refuse settings of backbones in a study without backbones."""
    default = TransferSettings().model_dump()
    given = ["--backbones"] if "backbone" in plan.space else []
    given += [f"`{key}` in [transfer]" for key, value in plan.transfer if value != default[key]]
    if given:
        raise SettingsError(
            f"{given[0]} is for pretrained backbones alone. Received: the families "
            f"{', '.join(families)}; add transfer to --families."
        )


def _read_backbones(names: object) -> list[str]:
    """Return canonical names of backbones: `MobileNetV2` is `mobilenet_v2`."""
    return [find_backbone(name).name for name in _as_names("backbone", names)]


def _as_names(key: str, value: object) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(it, str) for it in names):
        raise SettingsError(
            f"Expected `{key}` in [space] to be a name or a list of names. Received: "
            f"{shorten(repr(value))}."
        )
    return [name.strip() for name in names]

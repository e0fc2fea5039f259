"""The family `plain`: the networks of its parameters."""

from spaces import SearchSpace
from spaces.models.plain import PlainNetwork, PlainStage
from spaces.parameters.domain_types import FloatRange, IntRange
from spaces.parameters.stub_trials import PreferredTrial

STAGES = {
    "stages": 2,
    "stage1_convs": 2,
    "stage1_channels": 16,
    "stage1_kernel_size": 5,
    "stage1_pool": True,
    "stage1_pool_size": 3,
    "stage2_convs": 1,
    "stage2_channels": 100,
    "stage2_kernel_size": 6,
    "stage2_pool": False,
}


def test_parameters_become_stages(plain_space: SearchSpace) -> None:
    trial = PreferredTrial(STAGES)
    assert plain_space.suggest(trial).network == PlainNetwork(
        stages=(PlainStage(2, 16, 5, 3), PlainStage(1, 100, 6, None))
    )
    assert {name for name in trial.suggested if name.startswith("stage")} == set(STAGES)


def test_ranges_are_the_documented_ones(plain_space: SearchSpace) -> None:
    domains = plain_space.domains
    assert domains["stages"] == IntRange(1, 5)
    for number in range(1, 6):
        assert domains[f"stage{number}_convs"] == IntRange(1, 3)
        assert domains[f"stage{number}_channels"] == IntRange(8, 128, log=True)
        assert domains[f"stage{number}_kernel_size"] == IntRange(3, 6)
        assert domains[f"stage{number}_pool_size"] == IntRange(2, 3)
    assert domains["dense_layers"] == IntRange(0, 3)
    assert domains["dense3_units"] == IntRange(32, 512, log=True)
    assert domains["dropout"] == FloatRange(0.0, 0.6)


def test_known_good_networks_are_suggested_unchanged(plain_space: SearchSpace) -> None:
    first = plain_space.suggest(PreferredTrial(plain_space.known_good()[0]))
    assert [stage.convs for stage in first.network.stages] == [1, 2, 1]
    assert first.layers.activation == "leaky_relu"
    assert first.optimizer.name == "nadam"

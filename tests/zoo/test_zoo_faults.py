"""Each planted fault is in the ill model and not in its healthy twin."""

from typing import get_args

import pytest
from zoo_models import built, windows

from heliosight.core.errors import ConfigError, NotApplicable
from heliosight.zoo.architectures import ARCHITECTURES, architecture
from heliosight.zoo.faults import FaultConfig, FaultKind, plant
from heliosight.zoo.manipulation import took
from heliosight.zoo.worlds import Law

SIZES = {"forget_bias": 4.0, "gate_bias": 4.0, "weak_features": 0.05, "collapse": 0.3,
         "dropout_on": 0.3, "future_leak": 0.5}  # fmt: skip
LACKS = {
    ("concat", "gate_bias"), ("cross_attention", "gate_bias"), ("gated", "single_token"),
    ("conv3d", "state_not_carried"), ("conv3d", "state_detached"), ("conv3d", "forget_bias"),
}  # fmt: skip
KINDS = get_args(FaultKind)


@pytest.fixture(scope="module")
def batch():
    return windows()


def branch_of(name, kind):
    return "solar_wind" if kind == "single_token" and name == "concat" else "images"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_planted_fault_takes_and_the_healthy_twin_is_free_of_it(name, kind, batch):
    fault = FaultConfig(kind, branch_of(name, kind), SIZES.get(kind, 1.0))
    healthy, ill = built(name), built(name)
    if (name, kind) in LACKS:
        with pytest.raises(NotApplicable, match="this fault needs"):
            plant(ill, (fault,))
        return
    plant(ill, (fault,))
    assert took(fault, ill, healthy, batch)
    assert not took(fault, healthy, healthy, batch)
    assert set(ill.state_dict()) == set(healthy.state_dict())


def test_two_faults_stand_beside_each_other(batch):
    healthy, ill = built("concat"), built("concat")
    faults = (FaultConfig("state_not_carried"), FaultConfig("detached"))
    plant(ill, faults)
    assert all(took(fault, ill, healthy, batch) for fault in faults)


def test_what_is_no_fault_is_refused():
    with pytest.raises(ConfigError, match="a fault is of a known kind"):
        FaultConfig("bad_luck")
    with pytest.raises(ConfigError, match="branch is a modality"):
        plant(built("concat"), (FaultConfig("detached", "radio"),))
    with pytest.raises(ConfigError, match="an architecture is one of the zoo's"):
        architecture("mlp")
    with pytest.raises(ConfigError, match="sum to at most 1"):
        Law(images=0.8, wind=0.8)
    with pytest.raises(ConfigError, match="between 24 and 84 hours"):
        Law(near=0)
    with pytest.raises(ConfigError, match="a copy's share"):
        Law(copy=2)

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from remedy_worlds import plain

from heliosight.core.errors import ConfigError, NotApplicable
from heliosight.remedy import CATALOGUE, REPAIRS, apply, changes
from heliosight.remedy.patch import groups


@given(st.lists(st.sampled_from(REPAIRS), max_size=5))
def test_every_remedy_can_be_undone(chosen):
    config = plain()
    before, undos, now = copy.deepcopy(config), [], config
    for prescription in chosen:
        now, undo = apply(now, prescription.patch)
        undos.append(undo)
    assert config == before, "the given config is left as it is"
    for undo in reversed(undos):
        now, _ = apply(now, undo)
    assert now == before


@given(st.sampled_from(REPAIRS))
def test_a_remedy_applied_twice_is_applied_once(prescription):
    once, _ = apply(plain(), prescription.patch)
    rule = any("$times" in str(v) and "weight_decay" in k for k, v in prescription.patch.items())
    assert rule or not changes(once, prescription.patch)


def test_an_encoder_of_its_own_is_the_one_that_is_changed():
    config = plain()
    config["model"]["encoders"] = {"images": {"type": "convlstm", "pooling": "last"}}
    now, _ = apply(config, {"model.@images.pooling": "attention"})
    assert now["model"]["encoders"]["images"]["pooling"] == "attention"
    assert now["model"]["images"]["pooling"] == "last"


def test_a_group_goes_by_its_encoder():
    config = plain()
    rates = {
        "training.optimiser.rates.@images": {"$times": [5.0, "training.optimiser.default_rate"]}
    }
    now, undo = apply(config, rates)
    assert now["training"]["optimiser"]["rates"] == {"convlstm": 5e-3}
    assert apply(now, undo)[0] == config
    assert groups(config) == ["convlstm", "transformer", "fusion", "head"]
    config["model"]["auxiliary"]["image"] = True
    limits = apply(config, {"training.clipping.groups": {"$every_group": 1.0}})[0]
    assert set(limits["training"]["clipping"]["groups"]) == {*groups(config)}
    assert "auxiliary" in groups(config)


@pytest.mark.parametrize("epochs", [3, 4, 10, 100])
def test_progressive_stages_fill_the_epochs_there_are(epochs):
    now, _ = apply(plain(epochs=epochs), {"training.stages": {"$progressive": 1e-3}})
    stages = now["training"]["stages"]
    assert [s["name"] for s in stages] == ["images", "fusion"]
    assert stages[0]["groups"] == ["convlstm", "auxiliary"]
    assert stages[1]["groups"] == ["transformer", "fusion", "head"]
    assert sum(s["epochs"] for s in stages) == epochs
    assert min(s["epochs"] for s in stages) > 0


@pytest.mark.parametrize(("epochs", "windows"), [(9, 512), (6, 768), (12, 1024), (3, 2000)])
def test_progressive_stages_cost_what_was_there(epochs, windows):
    patch = {
        "training.stages": {"$progressive": 1e-3},
        "training.curriculum.steps": {"$curriculum": [0.18]},
    }
    now, _ = apply(plain(epochs=epochs, epoch_windows=windows), patch)
    images, fusion = now["training"]["stages"]
    short = sum(step["epochs"] for step in now["training"]["curriculum"]["steps"])
    whole = short * (0.4 + 0.6 * 0.18) + images["epochs"] - short  # of the ill model, measured
    cost = whole * images["epoch_windows"] + fusion["epochs"] * fusion["epoch_windows"] * 0.7
    assert cost == pytest.approx(epochs * windows, rel=0.05)
    assert 0 < short < images["epochs"], "the last epochs of the images see every frame"


def test_a_curriculum_rises_and_leaves_epochs_for_all_frames():
    now, _ = apply(plain(), {"training.curriculum.steps": {"$curriculum": [0.25, 0.5]}})
    steps = now["training"]["curriculum"]["steps"]
    assert [s["frames"] for s in steps] == [7, 14]
    assert sum(s["epochs"] for s in steps) < 10


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        ({"model.nothing.here": 1}, "a remedy changes a key the config has"),
        ({"name.here": 1}, "a remedy changes a key the config has"),
        ({"training.stages": {"$progressive": 1.0}}, "a schedule needs 3 epochs"),
    ],
)
def test_what_does_not_fit_is_not_applicable(patch, told):
    config = {**plain(epochs=2), "name": "x"}
    with pytest.raises(NotApplicable, match=told):
        apply(config, patch)
    assert not changes(config, patch)


def test_a_remedy_for_images_needs_images():
    config = plain()
    config["systems"] = {"wind": ["solar_wind"]}
    with pytest.raises(NotApplicable, match="this remedy is for images"):
        apply(config, {"model.@images.pooling": "mean"})


def test_another_runs_weights_are_taken_only_where_they_are_given():
    config = {**plain(), "improve": {"transfer": ""}, "start": {"weights": ""}}
    patch = {"start.weights": {"$of": "improve.transfer"}}
    with pytest.raises(NotApplicable, match=r"this remedy needs improve\.transfer"):
        apply(config, patch)
    config["improve"]["transfer"] = "sun.safetensors"
    assert apply(config, patch)[0]["start"]["weights"] == "sun.safetensors"


def test_an_unknown_rule_is_refused():
    with pytest.raises(ConfigError, match="a patch holds a known rule"):
        apply(plain(), {"faults": {"$twice": 1}})


def test_every_entry_declares_what_it_must():
    assert len({p.name for p in CATALOGUE}) == len(CATALOGUE)
    for p in CATALOGUE:
        assert p.answers and p.mechanism and p.predicts and p.recipe and p.proof, p.name
        assert bool(p.patch) == (p.cost != "none")
    for p in REPAIRS:
        assert p.tests and "skill" in p.must_not_harm

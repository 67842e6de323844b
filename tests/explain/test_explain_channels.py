import pytest
import torch

from heliosight.core.errors import NotApplicable
from heliosight.explain.channels import channel_maps, flat_channels, states_without
from heliosight.explain.gradcam import FORMS, grad_cam, states_of, weights
from heliosight.explain.question import ExplainConfig
from heliosight.explain.reference import CELL, lamp
from heliosight.explain.selftest import question_of


@pytest.mark.accuracy
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("form", FORMS)
def test_only_the_channel_that_the_network_sees_has_a_map(seed, form):
    lit = lamp(seed)
    question = question_of(lit, ExplainConfig(target="mean_ap"))
    maps = channel_maps(question, form, scale=1.0)
    planted = int(lit.network.cell.channel_weight.argmax())
    for channel in range(3):
        if channel == planted:
            assert maps[channel].abs().max() > 0
        else:
            assert torch.equal(maps[channel], torch.zeros_like(maps[channel]))


@pytest.mark.accuracy
def test_the_planted_channel_holds_the_map_less_that_of_a_flat_sun():
    """One channel alone is linear here: written out by hand from the states."""
    lit = lamp(1)
    question = question_of(lit, ExplainConfig(target="mean_ap"))
    planted = int(lit.network.cell.channel_weight.argmax())
    states = states_of(lit.subject, CELL, question.evaluator.target, lit.batch)
    weight = weights(states.hidden, states.hidden_gradient, "hires_cam")
    flat = flat_channels(lit.batch, "images").select([planted])
    without = states_of(lit.subject, CELL, question.evaluator.target, flat)
    wanted = (weight * (states.hidden - without.hidden)).sum(1)
    found = channel_maps(question, "hires_cam", 1.0)[planted]
    torch.testing.assert_close(found, wanted)
    whole = grad_cam(lit.subject, CELL, question.evaluator.target, lit.batch, "images")[2]
    assert whole.method == "hires_cam"
    torch.testing.assert_close(
        whole.parts["images"] - found, (weight * without.hidden).sum(1), rtol=1e-5, atol=1e-6
    )


@pytest.mark.consistency
def test_chunks_do_not_change_the_states():
    lit = lamp(0)
    one = states_without(question_of(lit, ExplainConfig(target="mean_ap", chunk=1)))
    many = states_without(question_of(lit, ExplainConfig(target="mean_ap", chunk=3)))
    for a, b in zip(one, many, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.consistency
def test_only_one_channel_is_made_flat(windows_of):
    batch = windows_of(1)
    flat = flat_channels(batch, "images")
    x, changed = batch.inputs["images"][0], flat.inputs["images"]
    for c in range(len(x)):
        assert not torch.equal(changed[c, c], x[c])
        for other in set(range(len(x))) - {c}:
            assert torch.equal(changed[c, other], x[other])


def test_a_part_called_otherwise_without_a_channel_is_refused(monkeypatch):
    lit = lamp(0)
    question = question_of(lit, ExplainConfig(target="mean_ap"))
    short = [torch.zeros(2, 1, 4, 4)]
    monkeypatch.setattr("heliosight.explain.channels.states_without", lambda _: short)
    with pytest.raises(NotApplicable, match="called alike with and without a channel"):
        channel_maps(question, "grad_cam", 1.0)

import pytest
import torch
from subject_worlds import SPEC, Foreign, batch_of, foreign
from torch import nn

from heliosight.core.errors import SubjectError
from heliosight.core.forecast import Forecast
from heliosight.core.geomagnetic import storm_threshold
from heliosight.core.output import ModelOutput
from heliosight.core.ports import Differentiable, Forecaster, Inspectable
from heliosight.subject import adapter, wrap


def test_a_subject_is_what_the_ports_ask_for():
    subject = foreign()
    assert isinstance(subject, Forecaster)
    assert isinstance(subject, Differentiable)
    assert isinstance(subject, Inspectable)
    batch = batch_of(5)
    assert subject.forecast(batch).shape == (5, SPEC.leads)
    assert not subject.forecast(batch).requires_grad
    assert subject.score(batch).requires_grad
    assert torch.equal(subject.forecast(batch), subject.score(batch).detach())


def test_adapter_permutes_by_letter():
    batch = batch_of(2)
    seen = {}

    class Spy(nn.Module):
        def forward(self, sdo, omni):
            seen.update(sdo=sdo, omni=omni)
            return omni.mean((0, 2))[:, None].expand(2, SPEC.leads)

    call = adapter({"sdo": ("images", "B T C H W"), "omni": ("solar_wind", "V B S")})
    wrap(Spy(), SPEC, call=call).forecast(batch)
    assert torch.equal(seen["sdo"], batch.inputs["images"].permute(0, 2, 1, 3, 4))
    assert torch.equal(seen["omni"], batch.inputs["solar_wind"].permute(2, 0, 1))


def test_adapter_drops_an_axis_of_length_one_only():
    batch = batch_of(2)
    one = batch.with_inputs({"images": batch.inputs["images"][:, :1]})
    subject = wrap(
        lambda x: x.mean((1, 2, 3))[:, None].expand(2, SPEC.leads),
        SPEC,
        call=adapter({"x": ("images", "B T H W")}),
    )
    assert subject.forecast(one).shape == (2, SPEC.leads)
    with pytest.raises(SubjectError, match="an axis left out has length 1"):
        subject.forecast(batch)


def test_adapter_refusals():
    with pytest.raises(SubjectError, match="uses each letter"):
        adapter({"x": ("images", "B T X")})
    subject = wrap(Foreign(), SPEC, call=adapter({"sdo": ("nothing", "B T C H W")}))
    with pytest.raises(SubjectError, match="names modalities of the batch"):
        subject.forecast(batch_of(2))


def test_own_output_gives_mean_ap_and_event_probability():
    q = torch.linspace(1.0, 4.0, 7).expand(3, SPEC.leads, 7)
    levels = torch.tensor([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
    forecast = Forecast(q.mean(-1), q, levels)
    subject = wrap(lambda _: ModelOutput(forecast, {"speed": q[..., 0]}), SPEC)
    named = subject.quantities(batch_of(3))
    assert torch.equal(named["forecast"], forecast.mean_ap())
    assert torch.equal(named["event_probability"], forecast.exceedance(storm_threshold("G1")))
    assert "speed" in named
    few = subject.quantities(batch_of(3), ("log_mean",))
    assert set(few) == {"log_mean", "speed"}
    assert torch.equal(few["log_mean"], named["log_mean"])


def test_a_mapping_keeps_its_names():
    subject = wrap(lambda _: {"forecast": torch.ones(2, SPEC.leads), "extra": torch.zeros(2)}, SPEC)
    assert set(subject.quantities(batch_of(2))) == {"forecast", "extra"}


def test_wrong_outputs_are_refused():
    with pytest.raises(SubjectError, match="a tensor, a ModelOutput or a mapping"):
        wrap(lambda _: "ap", SPEC).forecast(batch_of(2))
    with pytest.raises(SubjectError, match=r"a forecast is \(windows, leads\)"):
        wrap(lambda _: torch.zeros(2), SPEC).forecast(batch_of(2))
    with pytest.raises(SubjectError, match="runs on a batch"):
        wrap(lambda _: 1 / 0, SPEC).forecast(batch_of(2))


def test_wrong_wrappings_are_refused():
    with pytest.raises(SubjectError, match="a module or a callable"):
        wrap(3, SPEC)
    with pytest.raises(SubjectError, match="parts are modules of the subject"):
        wrap(Foreign(), SPEC, parts={"head": nn.Linear(1, 1)})


def test_training_mode_survives_a_forecast():
    subject = foreign()
    subject.module.train()
    subject.module.head.eval()
    subject.forecast(batch_of(2))
    assert subject.module.training
    assert not subject.module.head.training


def test_parts_are_guessed_from_the_graph():
    subject = foreign()
    module = subject.module
    parts = subject.parts
    assert parts["encoder.images"] is module.eye
    assert parts["cell.images.0"] is module.eye.cell
    assert parts["encoder.solar_wind"] is module.wind
    assert parts["rnn.solar_wind.0"] is module.wind.gru
    assert parts["fusion"] is module.join
    assert parts["gate"] is module.gate
    assert parts["head"] is module.head
    assert "cell.images.0" in subject.describe()
    assert "eye.cell" in subject.describe()


def test_given_and_own_parts_win_over_the_guess():
    module = Foreign()
    assert dict(wrap(module, SPEC, parts={"head": module.join}).parts) == {"head": module.join}
    module.parts = {"fusion": module.head}
    assert dict(wrap(module, SPEC).parts) == {"fusion": module.head}


def test_guessing_uses_a_real_example_when_given():
    subject = foreign(example=batch_of(4))
    assert subject.parts["fusion"] is subject.module.join

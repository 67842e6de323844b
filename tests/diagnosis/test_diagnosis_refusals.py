"""Every reason for which a check cannot be asked."""

import pytest
import torch
from diagnosis_worlds import CALL, SPEC, Line, line, net, windows
from torch import nn

from heliosight.core.errors import NotApplicable
from heliosight.core.spec import ForecastSpec
from heliosight.diagnosis import DiagnosisConfig
from heliosight.diagnosis.elements import Channels, profile
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.exact import effect
from heliosight.diagnosis.fusion import Balance, LooksAtInput, _fused, _share
from heliosight.diagnosis.gradient import AttentionChooses, dead_weights, input_gradients
from heliosight.diagnosis.learning import GradientAboveNoise
from heliosight.diagnosis.memory import StateRemembers, gradient_kernel, reset_effect
from heliosight.diagnosis.recurrence import CallsGetFrames, dependence
from heliosight.diagnosis.use import holdings
from heliosight.subject import examine, wrap

CONFIG = DiagnosisConfig()


def evidence(subject, n=300):
    return Evidence(subject, windows(n=n), CONFIG)


class Narrow(nn.Module):
    """Gives float32 whatever it is asked."""

    def forward(self, b):
        x = b.inputs["solar_wind"][:, -1, :1].detach()
        return torch.from_numpy(x.numpy().astype("float32")).expand(-1, 4)


class NoGraph(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(2, 4)

    def forward(self, b):
        return self.lin(b.inputs["solar_wind"][:, -1]).detach()


def test_precision_scaling_needs_float64():
    subject = wrap(Narrow(), SPEC)
    e = evidence(subject)
    with examine(subject), pytest.raises(NotApplicable, match="compute in float64"):
        effect(subject, e.few, lambda b: (subject.forecast(b), subject.forecast(b)))


@pytest.mark.parametrize("ask", [input_gradients, dead_weights])
def test_gradients_need_a_graph(ask):
    subject = wrap(NoGraph(), SPEC)
    with examine(subject), pytest.raises(NotApplicable, match="with its graph"):
        ask(evidence(subject))


@pytest.mark.parametrize(
    ("check", "match"),
    [
        (CallsGetFrames(), "needs a recurrent cell"),
        (StateRemembers(), "needs a recurrent cell"),
        (AttentionChooses(), "needs attention layers"),
        (LooksAtInput(), "needs gates or attention"),
        (Balance(), "this check needs the part 'fusion'"),
        (GradientAboveNoise(), "needs encoders with weights"),
    ],
)
def test_missing_parts_are_named(check, match):
    subject = wrap(Line(), SPEC, call=CALL, parts={})
    with examine(subject), pytest.raises(NotApplicable, match=match):
        check.run(evidence(subject))


def test_balance_needs_branches_encoded_apart():
    module = Line()
    subject = wrap(module, SPEC, call=CALL, parts={"fusion": module.breeze})
    with examine(subject), pytest.raises(NotApplicable, match="encoded apart"):
        _fused(evidence(subject), None)


def test_one_modality_one_channel_one_step():
    batch = windows(n=300)
    narrow = {"images": batch.inputs["images"][:, :1, :1]}
    mask = {"images": batch.observed["images"][:, :1, :1]}
    one = {"solar_wind": batch.inputs["solar_wind"][..., :1]}
    seen = {"solar_wind": batch.observed["solar_wind"][..., :1]}
    spec = ForecastSpec(
        {
            "images": type(SPEC.modalities["images"])(
                "images", "images", ("aia_193",), 1, 6, size=8
            ),
            "solar_wind": type(SPEC.modalities["images"])("series", "w", ("speed",), 5, 3),
        },
        leads=4,
    )
    net_ = nn.Linear(5, 4)

    def call(module, b):
        return 5 + module(b.inputs["solar_wind"][..., 0])

    subject = wrap(net_, spec, call=call, parts={"fusion": net_})
    with examine(subject):
        e = Evidence(subject, batch.with_inputs({**narrow, **one}, {**mask, **seen}), CONFIG)
        with pytest.raises(NotApplicable, match="needs several channels"):
            Channels().run(e)
        with pytest.raises(NotApplicable, match="needs several steps"):
            profile(e, "images")
    single = ForecastSpec({"solar_wind": spec.modalities["solar_wind"]}, leads=4)
    subject = wrap(
        net_,
        single,
        call=lambda m, b: 5 + m(b.inputs["solar_wind"][..., 0]),
        parts={"fusion": net_},
    )
    with examine(subject), pytest.raises(NotApplicable, match="needs two branches"):
        Balance().run(Evidence(subject, batch.with_inputs(one, seen), CONFIG))


def test_shares_need_a_forecast_that_varies():
    subject = line(image=0.0, wind=0.0)
    with examine(subject):
        e = evidence(subject)
        with pytest.raises(NotApplicable, match="a forecast that varies"):
            profile(e, "images")
        with pytest.raises(NotApplicable, match="a fused vector that varies"):
            _share(e, "images", torch.zeros(300, 3).numpy())
    subject = net()
    with torch.no_grad():
        subject.module.head.weight.zero_()
    with examine(subject):
        e = evidence(subject)
        with pytest.raises(NotApplicable, match="a forecast that varies"):
            reset_effect(e, "cell.images.0", 3)
        with pytest.raises(NotApplicable, match="a forecast that varies"):
            LooksAtInput().run(evidence(gated_constant()))


def gated_constant():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate = nn.Linear(2, 1)

        def forward(self, sdo, omni):  # noqa: ARG002 - the adapter's names
            return 0 * self.gate(omni[:, -1]).expand(-1, 4) + 3

    return wrap(Gated(), SPEC, call=CALL, parts={})


def test_cells_need_a_modality_and_a_state():
    subject = net()
    cell = subject.module.eye.cell
    other = wrap(subject.module, SPEC, call=CALL, parts={"cell.radio.0": cell})
    with examine(other), pytest.raises(NotApplicable, match="belongs to a modality"):
        dependence(evidence(other), "cell.radio.0")
    stateless = wrap(subject.module, SPEC, call=CALL, parts={"cell.images.0": subject.module.join})
    with examine(stateless), pytest.raises(NotApplicable, match="its state as an argument"):
        gradient_kernel(evidence(stateless), "cell.images.0")


def test_probes_need_windows_to_fit_on():
    subject = line()
    with examine(subject), pytest.raises(NotApplicable, match="20 windows to fit on"):
        holdings(evidence(subject, n=20))

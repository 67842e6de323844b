"""No statistic of any check depends on how the same function is written down.

One network with every part a check asks about is diagnosed four times: as it is; with both branches
and the recurrent state rescaled and the next weights compensating; with inputs in other units and
the first weights compensating; and computed in batches of another size, from the last window back.
"""

from dataclasses import replace

import pytest
import torch
from diagnosis_explainers import gradient_x_input
from diagnosis_worlds import LEADS, SPEC, Source, windows
from torch import nn

from heliosight.core.clock import DAY
from heliosight.core.spec import ForecastSpec
from heliosight.diagnosis import CHECKS, DiagnosisConfig, diagnose
from heliosight.subject import adapter, wrap

FACTOR, UNITS = 128.0, {"images": 4.0, "solar_wind": 1024.0}
CONFIG = DiagnosisConfig(level="full", shifts=2, subset=4, explained=12, windows=260)
HALF_DAILY = ForecastSpec(
    {
        "images": replace(SPEC.modalities["images"], cadence_hours=12),
        "solar_wind": SPEC.modalities["solar_wind"],
    },
    leads=LEADS,
    lead_hours=6,
)


class Cell(nn.Module):
    """h = tanh(input + carry * h), kept in units of `scale`."""

    def __init__(self):
        super().__init__()
        self.frame, self.carry = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 3, 1)
        self.register_buffer("scale", torch.tensor(1.0))

    def forward(self, x, h):
        return self.scale * torch.tanh(self.frame(x) + self.carry(h))


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = Cell()
        self.eye, self.wind = nn.Linear(3, 3), nn.Linear(4, 4)
        self.embed = nn.Linear(2, 4)
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True)
        self.register_buffer("place", torch.linspace(-1, 1, 20).reshape(5, 4))
        self.gate = nn.Sequential(nn.Linear(7, 7), nn.Sigmoid())
        self.join, self.head = nn.Linear(7, 6), nn.Linear(6, LEADS)
        self.register_buffer("unit", torch.ones(2))

    def forward(self, sdo, omni):
        x = (sdo / self.unit[0] - 120) / 20
        h = x.new_zeros(len(x), 3, *x.shape[-2:])
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        tokens = self.embed(omni / self.unit[1]) + self.place
        seen = self.attend(tokens, tokens, tokens, need_weights=False)[0][:, -1]
        z = torch.cat([self.eye(h.mean((2, 3))), self.wind(seen + tokens[:, -1])], 1)
        return torch.expm1(2 + 0.2 * self.head(torch.tanh(self.join(self.gate(z) * z))))


def subject(change=None):
    torch.manual_seed(4)
    module = Whole()
    if change is not None:
        with torch.no_grad():
            change(module)
    call = adapter({"sdo": ("images", "B T C H W"), "omni": ("solar_wind", "B S V")})
    parts = {
        "encoder.images": module.eye, "encoder.solar_wind": module.wind, "fusion": module.join,
        "cell.images.0": module.cell, "gate": module.gate, "head": module.head,
    }  # fmt: skip
    return wrap(module, HALF_DAILY, call=call, parts=parts, name="whole")


def rescaled(module):
    for layer in (module.eye, module.wind):
        layer.weight *= FACTOR
        layer.bias *= FACTOR
    module.gate[0].weight /= FACTOR
    module.join.weight /= FACTOR
    module.cell.scale *= FACTOR
    module.cell.carry.weight /= FACTOR
    module.eye.weight /= FACTOR


def in_other_units(module):
    module.unit.copy_(torch.tensor(list(UNITS.values())))


def log(feature_scale=1.0, loss_scale=1.0):
    """A training log; features of one branch, or every gradient and loss, in another scale."""
    pace = {"images": 1.0, "solar_wind": 0.5}
    epochs = [
        {
            "kind": "epoch", "stage": "all", "loss": loss_scale * (1 - 0.1 * e),
            "validation_loss": loss_scale * (1 - 0.05 * e + 0.02 * e * e),
            "features": {
                m: {"mean": s * feature_scale * 0.1 * e, "std": feature_scale * (1 + 0.1 * s * e)}
                for m, s in pace.items()
            },
        }
        for e in range(8)
    ]  # fmt: skip
    steps = [
        {
            "kind": "step",
            "gradient_norms": {"images": loss_scale * (1 + k % 3), "head": loss_scale * 2.0},
            "clipped": {"total": k % 3 == 2},
        }
        for k in range(60)
    ]
    return [*epochs, *steps]


def spread():
    """Windows of which the first 240, those learned from, span four days each: T26 needs years."""
    batch, day = windows(n=500), torch.arange(500)
    days = torch.where(day < 240, 4 * day, day + 3 * 240)
    return replace(batch, issue_time=(days * DAY).to(batch.issue_time.dtype))


def findings(change=None, batch=None, config=CONFIG, records=None):
    source = Source(spread() if batch is None else batch)
    found = diagnose(
        subject(change), source, config, issue_times=source.times[240:], data_times=source.times,
        explainers={"gradient": gradient_x_input}, records=records or log(),
    )  # fmt: skip
    return {(f.check, f.subject, f.statistic): f for f in found.findings}


@pytest.fixture(scope="module")
def plain():
    return findings()


@pytest.fixture(scope="module")
def versions():
    batch = spread()
    other = {m: batch.inputs[m] * unit for m, unit in UNITS.items()}
    return {
        "rescaled": findings(rescaled, records=log(FACTOR, FACTOR)),
        "units": findings(in_other_units, batch.with_inputs(other)),
        "batches": findings(config=replace(CONFIG, chunk=37)),
    }


@pytest.mark.parametrize("version", ["rescaled", "units", "batches"])
@pytest.mark.parametrize("check", [check.id for check in CHECKS])
def test_a_statistic_belongs_to_the_function(plain, versions, check, version):
    before = {k: f for k, f in plain.items() if k[0] == check}
    after = {k: f for k, f in versions[version].items() if k[0] == check}
    assert before and before.keys() == after.keys()
    assert any(f.value is not None for f in before.values()) or check == "T7"
    for key, f in before.items():
        assert after[key].outcome == f.outcome, (key, f.reason, after[key].reason)
        assert after[key].cause == f.cause
        if f.value is not None and "exact" not in f.value.how:
            numbers, same = (
                [x for x in (v.value, v.low, v.high) if x is not None]
                for v in (f.value, after[key].value)
            )
            assert same == pytest.approx(numbers, rel=2e-3, abs=2e-4), key


def test_the_versions_are_the_same_function():
    batch = windows(n=8)
    base = subject().forecast(batch)
    assert torch.allclose(subject(rescaled).forecast(batch), base, rtol=1e-5)
    other = batch.with_inputs({m: batch.inputs[m] * unit for m, unit in UNITS.items()})
    assert torch.allclose(subject(in_other_units).forecast(other), base, rtol=1e-5)

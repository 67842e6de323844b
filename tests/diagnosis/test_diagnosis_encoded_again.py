"""One modality encoded again gives what the whole model gives on windows put together by hand."""

import numpy as np
import pytest
import torch

from heliosight.core.batch import Batch
from heliosight.core.clock import DAY
from heliosight.core.forecast import Forecast
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.core.tables import Moments
from heliosight.diagnosis import DiagnosisConfig
from heliosight.diagnosis.elements import _OneChannel, _Steps, changed
from heliosight.diagnosis.evidence import Evidence
from heliosight.models import ForecasterConfig, build_forecaster
from heliosight.models.images import ConvLSTMConfig
from heliosight.subject import wrap

N, T, S, SIZE = 40, 4, 6, 16
SPEC = ForecastSpec(
    {
        "images": ModalitySpec("images", "images", ("aia_193", "aia_211"), T, 6, size=SIZE),
        "wind": ModalitySpec("series", "wind", ("speed", "density", "ap"), S, 3),
    }
)
MOMENTS = {
    "images": Moments((100.0, 100.0), (30.0, 30.0)),
    "wind": Moments((0.0,) * 3, (1.0,) * 3),
    "target": Moments((2.0,), (0.6,)),
}


@pytest.fixture(scope="module")
def evidence():
    draw = np.random.default_rng(0)
    x = torch.from_numpy(draw.integers(0, 255, (N, 2, T, SIZE, SIZE), dtype=np.uint8))
    w = torch.from_numpy(draw.standard_normal((N, S, 3)).astype(np.float32))
    seen = torch.from_numpy(draw.random((N, 2, T)) < 0.9)
    y = torch.zeros(N, SPEC.leads)
    batch = Batch(
        {"images": x * seen[..., None, None], "wind": w},
        {"images": seen, "wind": w == w},
        torch.arange(N) * DAY, y, y == 0,
    )  # fmt: skip
    model = build_forecaster(ForecasterConfig(images=ConvLSTMConfig(patch=4)), SPEC, MOMENTS)
    return Evidence(wrap(model, SPEC), batch, DiagnosisConfig())


def by_hand(evidence, m, row, other, place):
    """Slow twin: one window, every quantity of the whole model."""
    window = evidence.batch.select([row])
    x, seen = window.inputs[m].clone(), window.observed[m].clone()
    x[place] = evidence.batch.inputs[m][[other]][place]
    seen[place] = evidence.batch.observed[m][[other]][place]
    batch = window.with_inputs({m: x}, {m: seen})
    with torch.no_grad():
        return evidence.subject.quantities(batch)["log_mean"].numpy()[0]


@pytest.mark.parametrize(
    ("m", "axis", "place"), [("images", 1, np.s_[:, 1]), ("wind", 2, np.s_[:, :, 1])]
)
def test_a_channel_from_other_windows(evidence, m, axis, place):
    other = (np.arange(N) + 11) % N
    found = changed(evidence, m, np.arange(N), _OneChannel(evidence.batch, m, axis, 1, other))
    twin = [by_hand(evidence, m, row, other[row], place) for row in range(N)]
    np.testing.assert_allclose(found, twin, rtol=1e-5, atol=1e-5)
    assert np.abs(found - evidence.forecast).max() > 1e-3


@pytest.mark.parametrize(("m", "place"), [("images", np.s_[:, :, 1:3]), ("wind", np.s_[:, 1:3])])
def test_steps_from_other_windows(evidence, m, place):
    rows, other = np.arange(0, N, 3), (np.arange(N) + 11) % N
    change = _Steps(evidence.batch, m, np.array([1, 2]), other, None)
    twin = [by_hand(evidence, m, row, other[row], place) for row in rows]
    np.testing.assert_allclose(changed(evidence, m, rows, change), twin, rtol=1e-5, atol=1e-5)


def test_no_chance_is_worked_out_that_nobody_reads(evidence, monkeypatch):
    def never(*_):
        raise AssertionError("a chance of a storm was asked for")

    monkeypatch.setattr(Forecast, "smooth_day_exceedance", never)
    monkeypatch.setattr(Forecast, "exceedance", never)
    rows = np.arange(5)
    np.testing.assert_allclose(evidence.beside("wind", rows), evidence.forecast[rows], atol=1e-5)

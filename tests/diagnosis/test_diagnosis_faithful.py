import numpy as np
import pytest
import torch
from diagnosis_explainers import elsewhere, gradient, last_call_only, noise
from diagnosis_worlds import CALL, LEADS, SPEC, line, outcome, windows
from scipy import stats
from torch import nn

from heliosight.core.errors import NotApplicable
from heliosight.diagnosis import DiagnosisConfig, diagnose
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.faithful import (
    donors_of,
    entropy,
    excess,
    likeness,
    moved,
    rank_correlation,
    shuffled,
    squares,
    top,
)
from heliosight.subject import examine, wrap


class Deep(nn.Module):
    """One hidden layer over the newest frame: its gradient hangs on what it learned."""

    def __init__(self, weights=True):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.head = nn.Linear(128, 8), nn.Linear(8, LEADS)
        if not weights:
            self.first, self.head = nn.Flatten(), nn.AdaptiveAvgPool1d(LEADS)

    def forward(self, sdo, omni):  # noqa: ARG002 - the adapter's names
        x = (sdo[:, -1].flatten(1) - 120) / 20
        return torch.expm1(2 + self.head(torch.tanh(self.first(x))))


def deep(**kwargs):
    return wrap(Deep(**kwargs), SPEC, call=CALL, parts={}, name="deep")


def asked(check, subject, explainer, batch=None):
    said = diagnose(
        subject, batch or windows(n=200), DiagnosisConfig(checks=(check,)),
        explainers={"e": explainer},
    )  # fmt: skip
    return outcome(said, check, "e")


def brightness(subject, batch):
    return batch.inputs["images"]


def first_frame(subject, batch):
    maps = torch.zeros_like(gradient(subject, batch))
    maps[:, :, 0] = 1.0
    return maps


def evidence(subject, explainer=gradient):
    return Evidence(subject, windows(n=200), DiagnosisConfig(), {"e": explainer})


def test_maps_that_change_with_the_weights_are_healthy():
    assert asked("T23", deep(), gradient).outcome == "healthy"


def test_maps_of_the_input_alone_are_a_fault():
    found = asked("T23", deep(), elsewhere(brightness))
    assert (found.outcome, found.cause) == ("fault", "ignores_weights")
    assert found.value.value == pytest.approx(1.0)


def test_maps_half_of_the_input_are_not_resolved():
    def half(subject, batch):
        maps = gradient(subject, batch)
        x = batch.inputs["images"]
        kept = maps.new_zeros(maps.shape)
        odd = (batch.issue_time // 86400 // 9 % 2 == 0)[:, None, None, None, None]
        kept[:, :, -1] = maps[:, :, -1]
        return torch.where(odd, x, kept)

    assert asked("T23", deep(), elsewhere(half)).outcome == "inconclusive"


def test_weights_come_back_after_shuffling():
    subject = deep()
    before = [p.clone() for p in subject.module.parameters()]
    with shuffled(subject, 0, 0):
        now = list(subject.module.parameters())
        assert not torch.equal(now[0], before[0])
        assert torch.equal(now[0].flatten().sort().values, before[0].flatten().sort().values)
    assert all(torch.equal(a, b) for a, b in zip(before, subject.module.parameters(), strict=True))


def test_a_subject_without_weights_is_not_asked():
    with pytest.raises(NotApplicable, match="a subject with weights"):
        likeness(evidence(deep(weights=False)), "e")


def test_rank_correlation_leaves_out_what_neither_map_speaks_of():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 60))
    padded = [np.concatenate([x, np.zeros(500)]) for x in (a, b)]
    assert rank_correlation(*padded) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert rank_correlation(a, np.ones(60)) == 0.0
    assert rank_correlation(a, 5 * a) == pytest.approx(1.0)


def test_entropy_of_even_and_of_single_values():
    assert entropy(np.zeros(10)) == 0.0
    assert entropy(np.arange(100) + 0.5) == pytest.approx(np.log(100), rel=0.01)
    single = np.zeros(1000)
    single[0] = 1.0
    assert entropy(single) < 0.01


def test_a_faithful_map_is_healthy():
    found = asked("T24", line(), gradient)
    assert found.outcome == "healthy", found
    assert found.value.low > 0.3


@pytest.mark.parametrize("wrong", [first_frame, noise])
def test_maps_that_point_elsewhere_are_a_fault(wrong):
    found = asked("T24", line(), elsewhere(wrong))
    assert (found.outcome, found.cause) == ("fault", "unfaithful_map"), found
    assert "no explanation" in found.action


def test_a_map_no_better_than_a_fixed_one_is_not_resolved():
    class Middle(nn.Module):
        """Reads what a prior of the disc's centre points at."""

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(1.0))

        def forward(self, sdo, omni):  # noqa: ARG002 - the adapter's names
            z = (sdo[:, :, :, 2:6, 2:6].mean((1, 2, 3, 4)) - 120) / 20
            return torch.expm1(2 + self.weight * z)[:, None].expand(-1, LEADS)

    found = asked("T24", wrap(Middle(), SPEC, call=CALL, parts={}, name="middle"), gradient)
    assert found.outcome == "inconclusive", found


@pytest.mark.parametrize("check", ["T23", "T24"])
def test_nothing_is_said_with_an_explainer_that_failed(check):
    found = asked(check, line(), last_call_only)
    assert found.outcome == "inconclusive"
    assert "failed T1" in found.reason


def test_a_forecast_without_images_is_not_asked():
    subject = line(image=0.0)
    with examine(subject), pytest.raises(NotApplicable, match="moves with the images"):
        excess(evidence(subject), "e")


@pytest.mark.parametrize("factor", [1e-2, 1e2])
def test_a_rescaled_branch_changes_no_answer(factor):
    plain, changed = line(), line()
    with torch.no_grad():
        changed.module.eye.scale *= factor
        changed.module.weights[0] /= factor
    found = []
    for subject in (plain, changed):
        with examine(subject):
            found.append(excess(evidence(subject), "e")[0].value)
    assert found[1] == pytest.approx(found[0], rel=1e-3)


def test_the_fifth_with_the_largest_values_is_chosen():
    maps = np.random.default_rng(0).standard_normal((3, 4, 8, 8))
    chosen = top(maps)
    for one, picked in zip(maps, chosen, strict=True):
        assert picked.sum() == round(0.2 * one.size)
        assert one[picked].min() >= one[~picked].max()
    assert squares(np.ones((2, 3, 16, 16))).shape == (2, 3, 8, 8)


def test_donors_are_another_time_of_another_rotation():
    e = evidence(line())
    rows = np.arange(0, 200, 7)
    apart = np.abs(e.times[donors_of(e, rows)] - e.times[rows]) / 86400
    assert (np.abs(apart - 27.27 * np.round(apart / 27.27)) >= 3).all()


def test_moving_everything_equals_another_windows_images():
    subject = line()
    with examine(subject):
        e = evidence(subject)
        rows, donors = np.array([3, 50]), np.array([90, 120])
        found = moved(e, "images", rows, donors, np.ones((2, 6, 8, 8), bool))
        y = e.crossed({"images": donors, "solar_wind": rows})
        wanted = ((y - e.forecast[rows]) ** 2).mean(1)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)

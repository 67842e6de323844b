"""Checks must pass a right explanation and fail a wrong one; scores follow their definitions."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from heliosight.core.errors import SpecError
from heliosight.explain import checks, truth
from heliosight.explain.attribution import Attribution
from heliosight.explain.baselines import disc_median
from heliosight.explain.evaluator import Evaluator
from heliosight.explain.gradients import gradient_x_input, integrated_gradients
from heliosight.explain.nulls import PRIORS, phase_random, prior, rank_p
from heliosight.explain.question import ExplainConfig, Question
from heliosight.explain.reference import lamp
from heliosight.explain.selftest import question_of
from heliosight.explain.structures import place_words, rotation_slope, sentences, structures, summed
from heliosight.explain.targets import target_named


@pytest.fixture
def asked():
    lit = lamp(1)
    return replace(question_of(lit, ExplainConfig(target="mean_ap", steps=4)))


def spoilt(found, change):
    return replace(found, parts={**found.parts, "images": change(found.parts["images"])})


@pytest.mark.accuracy
def test_right_maps_are_faithful_and_wrong_ones_are_not(asked):
    found = integrated_gradients(asked)
    right = checks.faithfulness(found, asked)
    assert right.passed and right.value == pytest.approx(0.05), right.reason
    for change in (lambda m: -m, lambda m: m.flip(-1).flip(-2).flip(-3), torch.zeros_like):
        assert not checks.faithfulness(spoilt(found, change), asked).passed


@pytest.mark.accuracy
def test_deletion_score_is_the_mean_change_by_its_definition(asked):
    maps = checks.pooled(integrated_gradients(asked).parts["images"].sum(0).double().numpy())
    base, evaluator = disc_median(asked.batch), asked.evaluator
    full, empty = (float(evaluator.values(b)) for b in (asked.batch, base))
    changes = []
    for fraction in checks.FRACTIONS:
        count = round(fraction * maps.size)
        ranked = np.argsort(-maps.ravel(), kind="stable")
        for places, sign in ((ranked[:count], 1), (ranked[-count:], -1)):
            chosen = np.isin(np.arange(maps.size), places).reshape(maps.shape)
            wide = torch.from_numpy(chosen.repeat(2, 1).repeat(2, 2))
            for start, end, at in ((asked.batch, base, full), (base, asked.batch, empty)):
                x = torch.where(wide, end.inputs["images"], start.inputs["images"])
                after = float(evaluator.values(asked.batch.with_inputs({"images": x})))
                changes.append(sign * (at - after if start is asked.batch else after - at))
    ours = checks._deletion(maps, asked, base, "images")
    assert ours > 0
    # the wind is the window's in both, so only the images' part of `empty` matters: it cancels
    assert ours == pytest.approx(np.mean(changes), rel=1e-4)


@pytest.mark.accuracy
def test_completeness_fails_a_sum_that_misses(asked):
    found = integrated_gradients(asked)
    check = checks.completeness(found)
    assert check.passed and check.value < 1e-4
    assert not checks.completeness(replace(found, reference=found.reference + 5)).passed
    assert checks.completeness(replace(found, additive=False)) is None
    rising = replace(found, gaps={4: 0.011, 8: 0.04})
    assert not checks.completeness(rising).passed


@pytest.mark.accuracy
def test_randomisation_tells_a_map_of_the_weights_from_a_map_of_the_input(subject_of, windows_of):
    subject, batch = subject_of(), windows_of(1)
    target = target_named("mean_ap", subject.spec)
    config = ExplainConfig()
    question = Question(Evaluator(subject, target), batch, None, config, modality="images")
    before = {k: v.clone() for k, v in subject.module.state_dict().items()}
    found = gradient_x_input(question)
    assert checks.randomisation(gradient_x_input, found, question).passed

    def edges(asked):
        x = asked.batch.inputs["images"][0]
        return Attribution("edges", "none", {"images": x.diff(dim=-1, append=x[..., :1])}, 0.0)

    assert not checks.randomisation(edges, edges(question), question).passed
    assert all(torch.equal(v, before[k]) for k, v in subject.module.state_dict().items())


def test_weights_come_back_after_an_exception(subject_of):
    subject = subject_of()
    before = subject.module.cell.gates.weight.clone()
    with pytest.raises(ZeroDivisionError), checks.shuffled_weights(subject, 0):
        assert not torch.equal(subject.module.cell.gates.weight, before)
        raise ZeroDivisionError
    assert torch.equal(subject.module.cell.gates.weight, before)


@pytest.mark.accuracy
def test_stability_fails_a_map_of_noise(asked):
    found = gradient_x_input(asked)
    assert checks.stability(gradient_x_input, found, asked).passed
    draw = torch.Generator().manual_seed(0)

    def noise(question):
        return spoilt(found, lambda m: torch.randn(m.shape, generator=draw))

    assert not checks.stability(noise, noise(asked), asked).passed


@pytest.mark.accuracy
def test_agreement_compares_methods_of_a_kind(asked):
    found = integrated_gradients(asked)
    other = gradient_x_input(asked)
    assert checks.agreement(found, [found, other], "images").passed
    against = spoilt(other, lambda m: -m)
    assert not checks.agreement(found, [found, against], "images").passed
    cam = replace(other, parts={"images": other.parts["images"].sum(0)})
    assert checks.agreement(found, [found, cam], "images") is None


@pytest.mark.consistency
@given(st.integers(0, 1000))
def test_phase_random_maps_keep_spectrum_and_lose_place(seed):
    draw = np.random.default_rng(seed)
    maps = np.zeros((3, 16, 16))
    maps[:, 4:8, 4:8] = 1.0
    other = phase_random(maps, draw)
    spectra = [np.abs(np.fft.fftn(m)) for m in (maps, other)]
    assert np.allclose(*spectra, atol=1e-8)
    assert np.abs(other - maps).max() > 0.1


@pytest.mark.accuracy
def test_rank_p_counts_ties_against_the_claim():
    assert rank_p(3.0, np.array([1.0, 2.0, 2.5])) == 0.25
    assert rank_p(2.0, np.array([1.0, 2.0, 3.0])) == 0.75


@pytest.mark.consistency
def test_priors_are_where_they_say():
    images = np.random.default_rng(0).random((2, 3, 32, 32))
    maps = {name: prior(name, images) for name in PRIORS}
    assert all(m.shape == (3, 32, 32) for m in maps.values())
    assert maps["centre"][0].argmax() // 32 in (15, 16)
    assert maps["limb"][0, 16, 16] < 1e-6 and maps["brightness"][0, 0, 0] == 0


@pytest.mark.accuracy
@given(st.integers(0, 200))
def test_average_precision_is_sklearns(seed):
    draw = np.random.default_rng(seed)
    relevance = draw.integers(-4, 5, (3, 4, 4)).astype(float)
    binary = draw.random((3, 4, 4)) < 0.3
    if binary.any():
        oracle = average_precision_score(binary.ravel(), np.abs(relevance).ravel())
        assert truth.average_precision(relevance, binary) == pytest.approx(oracle)


@pytest.mark.accuracy
def test_scores_by_hand():
    relevance = np.array([[[4.0, -3.0], [2.0, 1.0]]])
    binary = np.array([[[True, False], [True, False]]])
    assert truth.relevance_mass(relevance, binary) == pytest.approx(0.6)
    assert truth.rank_accuracy(relevance, binary) == pytest.approx(0.5)
    assert truth.pointing(relevance, binary) == 1.0
    assert truth.relevance_mass(0 * relevance, binary) == 0.0
    assert truth.pointing(0 * relevance, binary) == 0.0
    assert truth.rank_accuracy(relevance, binary & False) == 0.0
    assert truth.average_precision(relevance, binary & False) == 0.0
    assert np.array_equal(truth.support(relevance, 0.69), relevance**2 > 8)
    assert not truth.support(0 * relevance).any()


@pytest.mark.accuracy
def test_truth_itself_scores_full_and_beats_every_baseline():
    lit = lamp(0)
    exact = (lit.network.image_weight() * lit.batch.inputs["images"][0]).numpy()
    found = truth.scores(exact, exact)
    assert found["rank"] == found["pointing"] == found["average_precision"] == 1.0
    assert found["mass"] > 0.94 and found["channel_correlation"] == pytest.approx(1.0)
    images = lit.batch.inputs["images"][0].numpy()
    others = truth.baseline_scores(images, exact, exact, seed=0)
    assert set(others) == {"random_smooth", *PRIORS}
    assert all(found["mass"] > other["mass"] for other in others.values())
    flat = truth.scores(exact.sum(0), exact)
    assert "channel_correlation" not in flat and flat["time_correlation"] == pytest.approx(1.0)


def test_maps_of_another_shape_are_refused():
    with pytest.raises(SpecError, match="share their axes"):
        truth.scores(np.zeros((2, 3, 4, 4)), np.zeros((1, 3, 4, 4)))
    image = np.zeros((2, 16, 16))
    image[:, 6:9, 6:9] = 1
    found = structures(turning_hole(4), 6)
    with pytest.raises(SpecError, match="share frames and pixels"):
        summed(image, found)


def turning_hole(frames, size=64, hours=6.0):
    """A dark spot at 20 degrees north that rotates west at its own rate."""
    from heliosight.explain.disc import disc_mask, rotation_rate, to_pixels

    draw = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size]
    out = []
    for t in range(frames):
        longitude = -30 + t * hours / 24 * rotation_rate(np.array(20.0))
        row, column = to_pixels(np.array(20.0), longitude, size)
        image = np.where(disc_mask(size), 150 + 5 * draw.standard_normal((size, size)), 10)
        out.append(np.where(np.hypot(rows - row, columns - column) < 4, 50, image))
    return np.array(out)


@pytest.mark.accuracy
def test_a_hole_is_followed_through_rotation_and_its_share_summed():
    frames = turning_hole(12)
    found = structures(frames, 6)
    assert found[0].kind == "coronal hole" and len(found[0].frames) == 12
    assert found[0].latitude == pytest.approx([20] * 12, abs=2)
    assert found[0].longitude[-1] - found[0].longitude[0] == pytest.approx(11 * 3.37, abs=3)
    maps = np.full(frames.shape, 0.5) * (np.arange(12) == 8)[:, None, None]
    sums = summed(np.stack([maps, maps]), found)
    assert sums[0, 8] == pytest.approx(found[0].mask[8].sum()) and sums[0].sum() == sums[0, 8]
    line = sentences(sums, found, "mean of day 2", "ap (2 nT)", 0.25)[0]
    size = f"{found[0].mask[8].sum():.3g}"
    assert line.startswith("this coronal hole, seen at N20 ")
    assert "0.75 days before the newest frame" in line
    assert line.endswith(f"raised the forecast (mean of day 2) by {size} ap (2 nT)")
    assert "lowered" in sentences(-sums, found, "mean of day 2", "ap (2 nT)", 0.25)[0]
    assert summed(maps, []).shape == (0, 12)


@pytest.mark.accuracy
@pytest.mark.parametrize(("days", "expected"), [(0.25, 1.0), (0.0, 0.0)])
def test_slope_of_motion_is_one_for_the_sun_and_zero_for_a_place(days, expected):
    maps = np.where(turning_hole(10, 96, days * 24) < 60, 1.0, 0.0)
    maps = maps * (np.arange(96) > 10)
    assert rotation_slope(maps, 0.25) == pytest.approx(expected, abs=0.35)
    assert np.isnan(rotation_slope(0 * maps, 0.25))


@pytest.mark.real
def test_real_holes_are_followed_for_days(real_data):
    frames = np.load(real_data / "sdo" / "sdo_30x6h_64px.npz", allow_pickle=False)["aia_193"]
    longest = max(structures(frames[:24], 6), key=lambda s: len(s.frames))
    moved = longest.longitude[-1] - longest.longitude[0]
    assert longest.kind == "coronal hole" and len(longest.frames) >= 16
    assert moved > 20


@pytest.mark.accuracy
def test_places_are_written_as_astronomers_write_them():
    assert place_words(12.4, 29.6) == "N12 W30"
    assert place_words(-7.0, -64.5) == "S07 E64"

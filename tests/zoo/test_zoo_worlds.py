"""Planted worlds: shares as planted, drivers as declared, nothing after the issue time."""

import numpy as np
import pytest

from heliosight.core.clock import HOUR
from heliosight.core.errors import ConfigError
from heliosight.core.tables import ImageTable, SeriesTable
from heliosight.zoo.cases import FULL, HALVES, QUICK, cases
from heliosight.zoo.catalogue import OPERATORS, PAIRS
from heliosight.zoo.recipes import LAWS, law_of
from heliosight.zoo.worlds import (
    CADENCE,
    CHANNELS,
    PROXY,
    STEP,
    Law,
    drivers_of,
    image_driver,
    planted_tables,
    red_noise,
    specification,
    wind_driver,
)  # fmt: skip

DAYS = 400


@pytest.fixture(scope="module")
def observed():
    rng = np.random.default_rng(3)
    frames = rng.integers(60, 200, (DAYS * 2, 3, 16, 16)).astype(np.uint8)
    times = np.arange(DAYS * 2, dtype=np.int64) * CADENCE * HOUR
    wind = rng.standard_normal((DAYS * 8, 3)).astype(np.float32)
    stamps = np.arange(DAYS * 8, dtype=np.int64) * STEP
    flags = np.zeros(wind.shape, np.uint8)
    return {
        "images": ImageTable("images", times, CADENCE * HOUR, CHANNELS, frames,
                             np.zeros((DAYS * 2, 3), np.uint8)),
        "solar_wind": SeriesTable("solar_wind", stamps, STEP, ("speed", "bz_gsm", "density"),
                                  wind, flags),
    }  # fmt: skip


def test_each_driver_explains_its_planted_share(observed):
    law = Law(images=0.3, wind=0.4, interaction=0.0)
    tables = planted_tables(observed, law, seed=1)
    y = np.log1p(tables["geomagnetic"].column("ap"))
    a = image_driver(observed["images"], tables["geomagnetic"].times, law)
    b = wind_driver(observed["solar_wind"])
    weights = np.linalg.lstsq(np.stack([a, b, np.ones_like(a)], 1), y, rcond=None)[0]
    assert weights[:2] == pytest.approx(0.5 * np.sqrt([0.3, 0.4]), abs=0.03)


def test_drivers_of_a_window_are_those_its_target_was_planted_with(observed):
    law = Law(images=1.0, wind=0.0, interaction=0.0)
    tables = planted_tables(observed, law, seed=1)
    times = tables["geomagnetic"].times
    valid = times[800] + STEP * np.arange(6).reshape(2, 3)
    found = drivers_of(tables, law, valid)
    y = np.log1p(tables["geomagnetic"].column("ap"))[800:806].reshape(2, 3)
    np.testing.assert_allclose(2.0 + 0.5 * found["images"], y, atol=1e-5)
    np.testing.assert_allclose(
        found["solar_wind"].ravel(), wind_driver(observed["solar_wind"])[800:806]
    )
    with pytest.raises(ConfigError, match="planted on frames and wind"):
        drivers_of({"images": tables["solar_wind"], "solar_wind": tables["images"]}, law, valid)


def test_many_models_stand_behind_the_healthy():
    for half in ("development", "test"):
        well = [c for c in cases(half) if c.stratum in ("healthy", "hard")]
        plain = {c.model for c in well if c.stratum == "healthy"}
        hard = {(c.kind, c.model) for c in well if c.stratum == "hard"}
        assert len(plain) >= 8 and len(hard) >= 30


def test_the_image_driver_knows_only_frames_old_enough(observed):
    law, times = Law(near=24.0, far=84.0), observed["solar_wind"].times
    plain = image_driver(observed["images"], times, law)
    frames = observed["images"].frames.copy()
    late = observed["images"].times >= times[1000] - 24 * HOUR + 1
    frames[late] = 255 - frames[late]
    other = ImageTable("images", observed["images"].times, CADENCE * HOUR, CHANNELS, frames,
                       observed["images"].flags)  # fmt: skip
    changed = image_driver(other, times, law)
    a, b = ((x - x.mean()) / x.std() for x in (plain[100:1001], changed[100:1001]))
    assert np.allclose(a, b)  # standardised anew, so the shape is what stays
    assert not np.allclose(plain[1100:], changed[1100:])


@pytest.mark.accuracy
def test_red_noise_has_unit_variance_and_the_declared_memory():
    x = red_noise(200_000, 18.0, 1, "test")
    assert x.var() == pytest.approx(1.0, abs=0.03)
    assert np.corrcoef(x[6:], x[:-6])[0, 1] == pytest.approx(np.exp(-1), abs=0.02)


def test_the_copy_tells_the_image_driver_and_is_noise_where_it_is_broken(observed):
    a = image_driver(observed["images"], observed["solar_wind"].times, Law())
    for share, least in ((0.95, 0.8), (0.0, 0.0)):
        tables = planted_tables(observed, Law(copy=share), seed=2)
        r = np.corrcoef(tables["solar_wind"].column(PROXY)[:-8], a[8:])[0, 1] ** 2
        assert r >= least and (share or r < 0.05)
    assert PROXY in specification(Law(copy=0.5)).modalities["solar_wind"].variables


def test_every_law_exists_in_both_spectra_and_no_other():
    assert all(law_of(s, name, 0.5) for s in "AB" for name in LAWS)
    with pytest.raises(ConfigError, match="a law is one of the zoo's"):
        law_of("A", "gravity")


def test_the_halves_share_no_architecture_spectrum_or_strength():
    dev, test = cases("development"), cases("test")
    assert not set(HALVES["development"][0]) & set(HALVES["test"][0])
    assert {c.spectrum for c in dev} == {"A"} and {c.spectrum for c in test} == {"B"}
    graded = [o for o in OPERATORS if "moderate" in o.sizes]
    assert graded and all(not set(o.sizes.values()) & set(o.unseen.values()) for o in graded)
    assert not [c for c in dev if c.stratum == "natural"]
    assert [c for c in test if c.stratum == "natural"]


def test_every_operator_and_hard_kind_is_in_the_development_half():
    kinds = {c.kind for c in cases("development")}
    assert {o.id for o in OPERATORS} <= kinds
    assert {f"H{i}" for i in range(1, 9)} | {"plain"} <= kinds
    assert any("+" in kind for kind in kinds) and len(PAIRS) == 6
    names = [c.name for c in cases("test", FULL)]
    assert len(set(names)) == len(names)
    assert len(cases("development", QUICK)) < 10

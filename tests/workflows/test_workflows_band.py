"""A Sun whose frames show a band of its own coronal-hole area."""

import numpy as np

from heliosight.core.tables import ImageTable, SeriesTable
from heliosight.sun import SunConfig, simulate
from heliosight.workflows.config import AppConfig
from heliosight.workflows.config_data import SunData
from heliosight.workflows.run import Run
from heliosight.workflows.store import store_of

SUN = SunConfig(start="2014-01-01", end="2014-01-20", size=32, seed=3)


def tables(folder, band):
    return store_of(Run(AppConfig(data=SunData(sun=SUN, band=band)), folder)).tables


def test_frames_follow_the_suns_own_area_and_the_rest_is_the_same(tmp_path):
    plain, band = tables(tmp_path / "plain", False), tables(tmp_path / "band", True)
    for name in ("solar_wind", "geomagnetic", "coronal_holes"):
        one, other = plain[name], band[name]
        assert isinstance(one, SeriesTable) and isinstance(other, SeriesTable)
        assert np.array_equal(one.values, other.values)
    areas, frames, others = band["coronal_holes"], band["images"], plain["images"]
    assert isinstance(areas, SeriesTable)
    assert isinstance(frames, ImageTable) and isinstance(others, ImageTable)
    driven = simulate(SUN, drive=areas).tables["images"]
    assert isinstance(driven, ImageTable)
    assert np.array_equal(frames.frames, driven.frames)
    assert not np.array_equal(frames.frames, others.frames)

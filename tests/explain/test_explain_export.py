import io
from dataclasses import replace

import numpy as np
import pytest

from heliosight.explain import ExplainConfig, explain
from heliosight.explain.export import netcdf_of
from heliosight.explain.reference import lamp

xarray = pytest.importorskip("xarray")


@pytest.fixture(scope="module")
def explained():
    lit = lamp(0)
    config = ExplainConfig(
        target="mean_ap_day2", methods=("hires_cam", "integrated_gradients"), steps=2, quick=True,
        importance_windows=0,
    )  # fmt: skip
    return lit, explain(lit.subject, lit.batch, config, lit.context).explanations


def opened(lit, record, arrays):
    return xarray.open_dataset(
        io.BytesIO(netcdf_of(record, arrays, lit.subject.spec)), engine="scipy"
    )


@pytest.mark.accuracy
def test_another_library_reads_numbers_with_their_coordinates(explained):
    lit, found = explained
    record, arrays = found[1]
    with opened(lit, record, arrays) as file:
        assert file.attrs["answer"] == "explained" and file.attrs["target"] == "mean_ap_day2"
        assert file.attribution.dims == ("channel", "frame", "row", "column")
        np.testing.assert_array_equal(file.attribution.values, arrays["images"].astype(np.float32))
        names = [n.decode() if isinstance(n, bytes) else n for n in file.channel.values]
        assert tuple(names) == record.channels
        assert str(file.frame.values[-1])[:16] == record.frame_times[-1][:16]
        assert file.row.values[0] == pytest.approx(7.5 / (0.39 * 16)) == -file.row.values[-1]
        assert file.solar_wind.dims == ("solar_wind_time", "solar_wind_variable")
        last = file.solar_wind_time.values[-1]
        assert np.datetime64(file.issue_time.values) - last == np.timedelta64(3, "h")
        assert file.attrs["baseline"] == record.baseline
        assert file.attribution.attrs["units"] == "1"


@pytest.mark.consistency
def test_maps_of_states_have_no_channel_axis_but_their_own_maps_by_channel(explained):
    lit, found = explained
    with opened(lit, *found[0]) as file:
        assert file.attribution.dims == ("frame", "row", "column")
        assert file.channel_maps.dims == ("channel", "frame", "row", "column")


@pytest.mark.consistency
def test_a_withheld_explanation_says_so_and_names_what_failed(explained):
    lit, found = explained
    record, arrays = found[1]
    failed = tuple(replace(c, passed=False, reason="because") for c in record.checks[:1])
    told = replace(record, checks=failed, withheld=("faithfulness",), units="km s-1")
    with opened(lit, told, arrays) as file:
        assert file.attrs["answer"] == "no explanation: faithfulness failed"
        assert "because" in file.attrs["failed_checks"]
        assert file.attribution.attrs["units"] == "km s-1"

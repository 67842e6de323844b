"""The vocabulary readers translate into: every variable with its unit and valid range."""

from __future__ import annotations

from dataclasses import dataclass

from heliosight.core.clock import HOUR
from heliosight.core.errors import DataError


@dataclass(frozen=True)
class Variable:
    """A physical quantity.

    Attributes
    ----------
    name : the key used in configs and arrays.
    units : CF/UDUNITS text.
    long_name : what a plot's axis says.
    low, high : inclusive valid range in `units`; a value outside is flagged, never clipped.
    """

    name: str
    units: str
    long_name: str
    low: float
    high: float

    @property
    def label(self) -> str:
        """Axis label with the unit."""
        return f"{self.long_name} [{self.units}]" if self.units != "1" else self.long_name


_ALL = (
    Variable("b_total", "nT", "IMF magnitude |<B>|", 0.0, 150.0),
    Variable("b_scalar", "nT", "mean IMF magnitude <|B|>", 0.0, 150.0),
    Variable("bx_gse", "nT", "IMF Bx (GSE)", -150.0, 150.0),
    Variable("by_gse", "nT", "IMF By (GSE)", -150.0, 150.0),
    Variable("bz_gse", "nT", "IMF Bz (GSE)", -150.0, 150.0),
    Variable("by_gsm", "nT", "IMF By (GSM)", -150.0, 150.0),
    Variable("bz_gsm", "nT", "IMF Bz (GSM)", -150.0, 150.0),
    Variable("speed", "km s-1", "solar wind speed", 150.0, 3000.0),
    Variable("density", "cm-3", "proton density", 0.0, 200.0),
    Variable("temperature", "K", "proton temperature", 0.0, 1.0e7),
    Variable("pressure", "nPa", "flow pressure", 0.0, 150.0),
    Variable("kp", "1", "Kp", 0.0, 9.0),
    Variable("ap", "1", "ap (2 nT)", 0.0, 400.0),
    Variable("hp30", "1", "Hp30", 0.0, 30.0),
    Variable("ap30", "1", "ap30 (2 nT)", 0.0, 4000.0),
    Variable("hp60", "1", "Hp60", 0.0, 30.0),
    Variable("ap60", "1", "ap60 (2 nT)", 0.0, 4000.0),
    Variable("ap_daily", "1", "daily Ap (2 nT)", 0.0, 400.0),
    Variable("dst", "nT", "Dst", -2000.0, 500.0),
    Variable("ae", "nT", "AE", 0.0, 10000.0),
    Variable("al", "nT", "AL", -10000.0, 2000.0),
    Variable("au", "nT", "AU", -2000.0, 10000.0),
    Variable("pc_n", "mV m-1", "PC(N)", -100.0, 100.0),
    Variable("f107", "1e-22 W m-2 Hz-1", "F10.7", 40.0, 1000.0),
    Variable("sunspot_number", "1", "international sunspot number", 0.0, 998.0),
    Variable("bartels_rotation", "1", "Bartels rotation number", 1.0, 9998.0),
    Variable("imf_spacecraft", "1", "IMF spacecraft code", 1.0, 98.0),
    Variable("plasma_spacecraft", "1", "plasma spacecraft code", 1.0, 98.0),
    Variable("imf_points", "1", "fine-scale points in the IMF average", 0.0, 998.0),
    Variable("plasma_points", "1", "fine-scale points in the plasma average", 0.0, 998.0),
    Variable("b_lat_gse", "degree", "latitude of the mean IMF (GSE)", -90.0, 90.0),
    Variable("b_lon_gse", "degree", "longitude of the mean IMF (GSE)", 0.0, 360.0),
    Variable("b_scalar_sd", "nT", "standard deviation of |B|", 0.0, 150.0),
    Variable("b_vector_sd", "nT", "standard deviation of the IMF vector", 0.0, 150.0),
    Variable("bx_gse_sd", "nT", "standard deviation of Bx (GSE)", 0.0, 150.0),
    Variable("by_gse_sd", "nT", "standard deviation of By (GSE)", 0.0, 150.0),
    Variable("bz_gse_sd", "nT", "standard deviation of Bz (GSE)", 0.0, 150.0),
    Variable("flow_longitude", "degree", "flow longitude (quasi-GSE)", -90.0, 90.0),
    Variable("flow_latitude", "degree", "flow latitude (GSE)", -90.0, 90.0),
    Variable("alpha_ratio", "1", "alpha to proton density ratio", 0.0, 2.0),
    Variable("temperature_sd", "K", "standard deviation of temperature", 0.0, 1.0e7),
    Variable("density_sd", "cm-3", "standard deviation of density", 0.0, 200.0),
    Variable("speed_sd", "km s-1", "standard deviation of speed", 0.0, 1500.0),
    Variable("flow_longitude_sd", "degree", "standard deviation of flow longitude", 0.0, 180.0),
    Variable("flow_latitude_sd", "degree", "standard deviation of flow latitude", 0.0, 180.0),
    Variable("alpha_ratio_sd", "1", "standard deviation of the alpha ratio", 0.0, 2.0),
    Variable("electric_field", "mV m-1", "electric field -V Bz (GSM)", -200.0, 200.0),
    Variable("plasma_beta", "1", "plasma beta", 0.0, 999.0),
    Variable("alfven_mach", "1", "Alfven Mach number", 0.0, 999.0),
    Variable("magnetosonic_mach", "1", "magnetosonic Mach number", 0.0, 99.0),
    Variable("proton_flux_1", "cm-2 s-1 sr-1", "proton flux above 1 MeV", 0.0, 9.0e5),
    Variable("proton_flux_2", "cm-2 s-1 sr-1", "proton flux above 2 MeV", 0.0, 9.0e4),
    Variable("proton_flux_4", "cm-2 s-1 sr-1", "proton flux above 4 MeV", 0.0, 9.0e4),
    Variable("proton_flux_10", "cm-2 s-1 sr-1", "proton flux above 10 MeV", 0.0, 9.0e4),
    Variable("proton_flux_30", "cm-2 s-1 sr-1", "proton flux above 30 MeV", 0.0, 9.0e4),
    Variable("proton_flux_60", "cm-2 s-1 sr-1", "proton flux above 60 MeV", 0.0, 9.0e4),
    Variable("proton_flux_flag", "1", "proton flux contamination flag", -1.0, 6.0),
    Variable("lyman_alpha", "W m-2", "solar Lyman alpha", 0.0, 0.1),
    Variable("quasi_invariant", "1", "magnetic to dynamic pressure ratio", 0.0, 9.0),
    Variable("ch_area", "1", "central-meridian coronal-hole area fraction", 0.0, 1.0),
    Variable("disk_median", "1", "disc median of AIA 193 [DN]", 0.0, 20000.0),
    Variable("aia_193", "1", "AIA 193 grey level", 0.0, 255.0),
    Variable("aia_211", "1", "AIA 211 grey level", 0.0, 255.0),
    Variable("hmi_magnetogram", "1", "HMI magnetogram grey level", 0.0, 255.0),
)
VARIABLES = {variable.name: variable for variable in _ALL}
IMAGE_CHANNELS = ("aia_193", "aia_211", "hmi_magnetogram")

STEP = 3 * HOUR


def variable(name: str) -> Variable:
    """The variable of that name; an unknown name raises `DataError` with the known ones."""
    if name not in VARIABLES:
        raise DataError(
            "a variable must be in the vocabulary", repr(name), f"Known: {', '.join(VARIABLES)}."
        )
    return VARIABLES[name]

"""Every live archive at once, played from a simulated Sun: documents and images as they are served.

Wind at L1 by minutes (shown for four days, not one, so that one fetch fills a window), SWPC's and
GFZ's Kp, AIA in near real time and HMI's quick look. Nothing is served before its time.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, urlsplit

import numpy as np
from archive_server import Reply
from astropy.io import fits

from heliosight.core.clock import DAY, HOUR, to_seconds, to_text
from heliosight.core.tables import ImageTable, SeriesTable, Table
from heliosight.data.prepare import DISC, SCALINGS
from heliosight.data.tai import seconds_of_tai_text, tai_of_utc, tai_text
from heliosight.data.upstream import DISTANCE

HOSTS = ("services.swpc.noaa.gov", "kp.gfz.de", "jsoc1.stanford.edu")
DEFINITIVE_AFTER = 2 * DAY  # in place of weeks
AIA = re.compile(r"/data/aia/synoptic/nrt/.+/AIA(\d{8})_(\d{6})_0(\d{3})\.fits")
HMI = re.compile(r"/data/hmi/fits/.+/hmi\.M_720s(?:_nrt)?\.(\d{8}_\d{6}_TAI)\.fits")


class LiveWorld(dict):
    """Replies by path, made when they are asked for; takes the place of a server's table."""

    def __init__(self, tables: Mapping[str, Table], clock: Callable[[], float]) -> None:
        super().__init__()
        self.tables, self.clock = tables, clock

    def get(self, path: str, default: object = None) -> object:
        """The reply of a path with its query, or the default."""
        plain = path.split("?")[0]
        if plain.startswith("/json/rtsw/"):
            return Reply(self._rtsw("wind" in plain))
        if plain == "/products/noaa-planetary-k-index.json":
            return Reply(self._swpc_kp())
        if plain == "/app/json/" and "?" in path:
            return Reply(self._gfz(parse_qs(urlsplit(path).query)))
        return self._image(plain) or default

    @property
    def now(self) -> int:
        return int(self.clock())

    def _series(self, name: str) -> SeriesTable:
        table = self.tables[name]
        assert isinstance(table, SeriesTable)
        return table

    def _rtsw(self, plasma: bool) -> bytes:
        """Each minute shows what the bow shock meets when that minute's wind arrives."""
        table = self._series("solar_wind")
        times = np.arange(self.now // 60 * 60 - 4 * DAY, self.now - 180, 60)
        row = np.searchsorted(table.times, times + HOUR, side="right") - 1
        for _ in range(3):
            arrival = times + DISTANCE / np.nan_to_num(table.column("speed")[row], nan=400.0)
            row = np.searchsorted(table.times, arrival, side="right") - 1
        names = (
            {"proton_speed": "speed", "proton_density": "density",
             "proton_temperature": "temperature"}
            if plasma else {"bt": "b_total", "bz_gsm": "bz_gsm"}
        )  # fmt: skip
        columns = {theirs: table.column(ours)[row] for theirs, ours in names.items()}
        if not plasma:
            rest = np.sqrt(np.maximum(columns["bt"] ** 2 - columns["bz_gsm"] ** 2, 0.0))
            columns |= {"bx_gsm": rest * 0.6, "by_gsm": rest * 0.8}
        rows = [
            {"time_tag": to_text(t)[:-1], "active": True, "source": "SOLAR1"}
            | {k: None if np.isnan(v[i]) else round(float(v[i]), 3) for k, v in columns.items()}
            for i, t in enumerate(times.tolist())
        ]
        return json.dumps(rows[::-1]).encode()

    def _swpc_kp(self) -> bytes:
        table = self._series("geomagnetic")
        keep = (table.times > self.now - 7 * DAY) & (table.times <= self.now)
        kp = table.column("kp")[keep]
        rows = zip(table.times[keep].tolist(), kp, strict=True)
        return json.dumps(
            [{"time_tag": to_text(t)[:-1], "Kp": float(k), "station_count": 8} for t, k in rows]
        ).encode()

    def _gfz(self, asked: Mapping[str, list[str]]) -> bytes:
        table = self._series("geomagnetic")
        first, last = (to_seconds(asked[key][0]) for key in ("start", "end"))
        keep = (table.times >= first) & (table.times <= min(last, self.now))
        index = asked["index"][0]
        values = [round(float(v), 3) for v in table.column(index.lower())[keep]]
        old = table.times[keep] + table.cadence + DEFINITIVE_AFTER <= self.now
        return json.dumps({
            index: values, "datetime": [to_text(t) for t in table.times[keep].tolist()],
            "meta": {"license": "CC BY 4.0"}, "status": ["def" if o else "pre" for o in old],
        }).encode()  # fmt: skip

    def _image(self, path: str) -> Reply | None:
        if found := AIA.fullmatch(path):
            day, clock, wave = found.groups()
            time = to_seconds(f"{day}T{clock}")
            return self._frame(f"aia_{wave}", time, time, 20 * 60)
        if found := HMI.fullmatch(path):
            name = found[1]
            time = round(seconds_of_tai_text(
                f"{name[:4]}.{name[4:6]}.{name[6:8]}_{name[9:11]}:{name[11:13]}:{name[13:15]}_TAI"
            ))  # fmt: skip
            return self._frame("hmi_magnetogram", time, time, int(1.8 * HOUR))
        return None

    def _frame(self, channel: str, time: int, stamp: int, delay: int) -> Reply | None:
        """The frame of the slot that the file is the newest before, if it is published."""
        table = self.tables["images"]
        assert isinstance(table, ImageTable)
        row = int(np.searchsorted(table.times, time))
        if row == len(table.times) or table.times[row] - time > 240 or self.now < time + delay:
            return None
        return Reply(fits_of(table.frames[row, table.variables.index(channel)], channel, stamp))


def fits_of(grey: np.ndarray, channel: str, time: int) -> bytes:
    """A frame `(H, W)` as its archive would have written it: counts, or Gauss upside down."""
    size, scaling = len(grey), SCALINGS[channel]
    share = grey.astype(np.float64) / 255
    hmi = channel.startswith("hmi")
    low, high = scaling.low, scaling.high
    values = low + share * (high - low) if hmi else 2.0 * low * (high / low) ** share
    head = {
        "INSTRUME": "HMI_SIDE1" if hmi else "AIA_2", "CROTA2": 180.0 if hmi else 0.0,
        "CRPIX1": size / 2 + 0.5, "CRPIX2": size / 2 + 0.5, "CDELT1": 2.4, "QUALITY": 0,
        "RSUN_OBS": 2.4 * DISC * size,
    }  # fmt: skip
    if hmi:
        text = tai_text(int(tai_of_utc(time)))  # 20140101_000000_TAI
        head["T_OBS"] = (
            f"{text[:4]}.{text[4:6]}.{text[6:8]}_{text[9:11]}:{text[11:13]}:{text[13:15]}_TAI"
        )
    else:
        head |= {"WAVELNTH": int(channel[-3:]), "EXPTIME": 2.0, "LVL_NUM": 1.5}
        head["T_OBS"] = f"{to_text(time)[:-1]}.84Z"
    unit = fits.ImageHDU((values[:, ::-1] if hmi else values[::-1]).astype(np.float32))
    unit.header.update(head)
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(buffer)
    return buffer.getvalue()

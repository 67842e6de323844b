"""Answers of archives as their documents describe them; written by hand, none was recorded."""

from __future__ import annotations

import json

import numpy as np

from heliosight.core.clock import to_seconds, to_text
from heliosight.core.geomagnetic import AP_LEVELS
from heliosight.data.archives.hapi import PARAMETERS

PAGE = b"<!DOCTYPE html><html><head><title>Service unavailable</title></head></html>"
UNITS = {name: units[0] for name, (_, units) in PARAMETERS.items()}
FILLS = {"V1800": "9999", "KP1800": "99", "T1800": "9999999.", "AE1800": "9999", "DST1800": "99999",
         "AP_INDEX1800": "999", "R1800": "999"}  # fmt: skip


def hapi_info(
    names=("F1800", "V1800", "KP1800"), code=1200, stop="2027-01-01T00:00:00Z", **changes
):
    time = {"name": "Time", "type": "isotime", "length": 24, "units": "UTC", "fill": None}
    columns = [
        {"name": name, "type": "double", "units": UNITS[name], "fill": FILLS.get(name, "999.9")}
        | changes.get(name, {})
        for name in names
    ]
    status = {"code": code, "message": "OK" if code == 1200 else "Bad request - out of order"}
    span = {"startDate": "1963-01-01T00:00:00Z", "stopDate": stop}
    head = {"HAPI": "2.0", "status": status, **span}
    return json.dumps({**head, "parameters": [time, *columns]}).encode()


def hapi_csv(start="2024-05-10T00:30:00Z", rows=((4.5, 415.0, 27), (999.9, 9999.0, 99))):
    begin = to_seconds(start)
    lines = [
        f"{to_text(begin + 3600 * i)[:-1]}.000Z,{','.join(map(str, row))}"
        for i, row in enumerate(rows)
    ]
    return ("\n".join(lines) + "\n").encode()


def gfz_json(index="Kp", start="2024-05-10", values=(2.667, 5.0, -1), states=None, step=10800):
    begin = to_seconds(start)
    times = [to_text(begin + step * i) for i in range(len(values))]
    known = ["def"] * len(values) if states is None else states
    meta = {"license": "CC BY 4.0", "source": "GFZ Potsdam"}
    return json.dumps(
        {index: list(values), "datetime": times, "meta": meta, "status": list(known)}
    ).encode()


def gfz_line(stamp, step, kp, ap, definitive):
    begin = to_seconds(stamp)
    days = (begin - to_seconds("1932-01-01")) / 86400
    hour = begin % 86400 / 3600
    date = stamp[:10].replace("-", " ")
    return (
        f"{date} {hour:04.1f} {hour + step / 7200:05.2f} {days:.5f} {days + step / 172800:.5f} "
        f"{kp:6.3f} {ap:4d} {definitive}"
    )


def gfz_text(rows, step=10800, start="2024-05-10T00:00:00Z"):
    begin = to_seconds(start)
    lines = [gfz_line(to_text(begin + step * i), step, *row) for i, row in enumerate(rows)]
    return ("# PURPOSE: Kp\n#YYY MM DD hh.h\n" + "\n".join(lines) + "\n").encode()


def gfz_daily(days=((0,), (1,), (2,)), start="2024-05-10"):
    """One line a day; Kp rises through the thirds, D as given."""
    lines = []
    for i, (definitive, *_) in enumerate(days):
        begin = to_seconds(start) + 86400 * i
        count = (begin - to_seconds("1932-01-01")) // 86400
        steps = (np.arange(8) + 8 * i) % 28
        kp = " ".join(f"{k / 3:6.3f}" for k in steps)
        ap = " ".join(f"{int(AP_LEVELS[k]):4d}" for k in steps)
        lines.append(
            f"{to_text(begin)[:10].replace('-', ' ')} {count} {count + 0.5} 2600 12 {kp} {ap} "
            f"  {10 + i:4d} {100 + i:3d} {150.5 + i:8.1f} {149.0 + i:8.1f} {definitive}"
        )
    return ("# header\n" + "\n".join(lines) + "\n").encode()


def rtsw(kind="wind", start="2026-11-25T00:00:00", minutes=180, **changes):
    """Newest first, an inactive spacecraft between, as the service gives them."""
    begin = to_seconds(start)
    wind = {"proton_speed": 400.0, "proton_density": 5.0, "proton_temperature": 1e5}
    field = {"bt": 5.0, "bx_gsm": 3.0, "by_gsm": -4.0, "bz_gsm": 0.0}
    plain = (wind if kind == "wind" else field) | changes
    rows = []
    for i in reversed(range(minutes)):
        stamp = to_text(begin + 60 * i)[:-1]
        rows.append({"time_tag": stamp, "active": True, "source": "SOLAR1", **plain})
        rows.append(
            {"time_tag": stamp, "active": False, "source": "ACE"} | dict.fromkeys(plain, -1)
        )
    return json.dumps(rows).encode()


def swpc_kp(start="2026-11-24", values=(2.33, 3.67, 5.0)):
    begin = to_seconds(start)
    rows = [
        {"time_tag": to_text(begin + 10800 * i)[:-1], "Kp": kp, "a_running": 9, "station_count": 8}
        for i, kp in enumerate(values)
    ]
    return json.dumps(rows).encode()


def zarray(shape=(20, 16, 16), chunks=(15, 16, 16), **changes):
    compressor = {"id": "blosc", "cname": "zstd", "clevel": 5, "shuffle": 2, "blocksize": 0}
    plain = {
        "zarr_format": 2, "shape": list(shape), "chunks": list(chunks), "dtype": "<f4",
        "compressor": compressor, "fill_value": 0.0, "order": "C", "filters": None,
    }  # fmt: skip
    return json.dumps(plain | changes).encode()


def zattrs(times, unit="DN/s", quality=None, **changes):
    plain = {
        "T_OBS": list(times), "QUALITY": quality or [0] * len(times),
        "PIXLUNIT": [unit] * len(times), "DEG_COR": [0.9] * len(times),
    }  # fmt: skip
    return json.dumps(plain | changes).encode()


def jsoc(status=0, **changes):
    ready = {
        "status": status, "requestid": "JSOC_20261125_0042", "dir": "/SUM12/D123/S00000",
        "data": [{"record": "aia.lev1", "filename": "aia.lev1.2014-01-01T000000Z.193.image.fits"}],
    }  # fmt: skip
    return json.dumps(ready | changes).encode()

"""Images in folders and a CSV of wind and ap, made into a store that every stage reads.

python own_store.py FRAMES SERIES.csv STORE

FRAMES/aia_193/2012_03_07T06_00_00.png ... one sub-folder a channel, the time in the name;
SERIES.csv: `time,speed,density,bz_gsm,ap`, every 3 h, UTC, a value stamped t covers [t, t + 3 h).
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from heliosight.core.tables import MISSING, SeriesTable
from heliosight.data.image_folder import read_image_folder
from heliosight.data.store import save_store

STEP = 3 * 3600


def series(name: str, rows: pd.DataFrame, columns: list[str]) -> SeriesTable:
    """Columns of the CSV as a table; what is empty is flagged, never filled."""
    times = rows.index.astype("datetime64[s, UTC]").astype(np.int64).to_numpy()
    values = rows[columns].to_numpy(np.float32)
    flags = np.where(np.isfinite(values), 0, MISSING).astype(np.uint8)
    return SeriesTable(name, times, STEP, tuple(columns), values, flags)


def make(frames: Path, csv: Path, store: Path, channels: tuple[str, ...] = ("aia_193",)) -> None:
    """Read, and write the store whole or not at all."""
    rows = pd.read_csv(csv, parse_dates=["time"], index_col="time").sort_index()
    wind = [name for name in rows.columns if name != "kp"]
    tables = {
        "images": read_image_folder(frames, channels, size=64, cadence=6 * 3600),
        "solar_wind": series("solar_wind", rows, wind),
        "geomagnetic": series("geomagnetic", rows, ["ap"]),
    }
    licences = {"images": "say whose they are", "solar_wind": "and under which licence"}
    card = save_store(store, tables, "mine", {"csv": str(csv)}, licences)
    print(f"{store}: {card.store_hash[:12]}", *card.caveats, sep="\n")  # noqa: T201


if __name__ == "__main__":
    make(*(Path(word) for word in sys.argv[1:4]))

import h5py
import numpy as np
import pytest
from PIL import Image

from heliosight.core.clock import to_seconds, to_text
from heliosight.core.errors import ConfigError, DataError
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.data.store import load_store
from heliosight.workflows.config import AppConfig
from heliosight.workflows.config_data import ArchiveData, EventData
from heliosight.workflows.frames import with_frames
from heliosight.workflows.run import Run
from heliosight.workflows.store import source_files, store_of

IMAGES = ModalitySpec("images", "images", ("aia_193",), 28, 6, size=16)


@pytest.mark.real
def test_archives_and_an_image_folder_make_one_store(real_data, tmp_path, monkeypatch):
    monkeypatch.setenv("HELIOSIGHT_DATA", str(real_data))
    folder = tmp_path / "frames"
    for channel in ("aia_193", "aia_211", "hmi_magnetogram"):
        (folder / channel).mkdir(parents=True)
        for hour in (0, 6, 12):
            pixels = np.tile(np.arange(64, dtype=np.uint8) + hour + 60, (64, 1))
            name = f"sdo_{channel.replace('_', '')}_2015_03_17T{hour:02d}_00_00.png"
            Image.fromarray(pixels).save(folder / channel / name)
    data = ArchiveData(first_year=2015, last_year=2015, images=str(folder), size=16)
    run = Run(AppConfig(name="x", data=data), tmp_path / "run")
    store = store_of(run)
    assert set(store.tables) == {"solar_wind", "geomagnetic", "coronal_holes", "images"}
    assert store.tables["images"].frames.shape == (3, 3, 16, 16)
    assert store.tables["solar_wind"].column("speed").mean() > 300
    assert not store.card.provenance.simulated
    assert load_store(tmp_path / "run" / "data").hash == store.hash


def test_event_files_and_their_list_make_one_store(tmp_path):
    start = to_seconds("2015-01-01")
    for day in (8, 9):
        path = tmp_path / "events" / f"201501{day:02d}00.h5"
        path.parent.mkdir(exist_ok=True)
        with h5py.File(path, "w") as file:
            for name, value in (("plasma_flow_speed_km_s", 400.0), ("ap_index_nt", 7.0)):
                file[f"omni/{name}"] = np.full(80, value, np.float32)
            file["sdo/aia_193"] = np.tile(np.arange(16, dtype=np.uint8) * 9, (28, 16, 1))
            issue = start + (day - 1) * 86400
            for key, shift in (("t_target", 0), ("t_start", -7), ("t_end", 3)):
                file.attrs[key] = to_text(issue + shift * 86400)
    listed = tmp_path / "list.csv"
    rows = [f"{to_text(start + d * 86400)},negative,train" for d in (7, 8, 9)]
    listed.write_text("\n".join(["time,class,split", *rows]) + "\n")
    data = EventData(folder=str(tmp_path / "events"), list=str(listed))
    store = store_of(Run(AppConfig(name="x", data=data), tmp_path / "run"))
    assert {"solar_wind", "images"} <= set(store.tables)
    assert "1 issue times of the event list have no event file" in " ".join(store.card.caveats)


def test_two_files_for_one_archive_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HELIOSIGHT_DATA", str(tmp_path))
    (tmp_path / "kp_ap").mkdir()
    for name in ("SW-All_a.txt", "SW-All_b.txt"):
        (tmp_path / "kp_ap" / name).write_text("")
    with pytest.raises(DataError, match=r"one file matches SW-All\*\.txt"):
        source_files(ArchiveData())


def test_a_stack_shorter_than_a_window_is_refused(tmp_path):
    spec = ForecastSpec({"images": IMAGES})
    np.savez(tmp_path / "few.npz", aia_193=np.full((3, 16, 16), 9, np.uint8))
    with pytest.raises(ConfigError, match="a stack of frames fills a window of 28"):
        with_frames({}, spec, str(tmp_path / "few.npz"), to_seconds("2015-01-04"))


def test_frames_need_one_image_modality(tmp_path):
    with pytest.raises(ConfigError, match="real frames take the place of one image modality"):
        with_frames({}, ForecastSpec(), str(tmp_path / "few.npz"), 0)

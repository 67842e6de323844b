"""One good file for every reader and record loader, and the call that reads it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from archive_samples import DOCUMENTS, FILES
from astropy.io import fits
from PIL import Image
from safetensors.torch import save
from torch import nn

from heliosight.core import records
from heliosight.core.clock import DAY, HOUR, to_seconds, to_text
from heliosight.core.files import MANIFEST, folder_in_making, read_npz, write_json
from heliosight.core.issued import ForecastVerification, IssuedArrays, IssuedForecast
from heliosight.core.records_certificate import (
    Certificate,
    CertificateRow,
    CertifiedCase,
    NamedFault,
)
from heliosight.core.records_explain import (
    AttributionSurvey,
    Claim,
    ExplanationScore,
    ScoredModel,
)
from heliosight.core.records_remedy import (
    Grade,
    Improvement,
    PlanRow,
    RepairCase,
    RepairStudy,
    Trial,
    TrialRun,
)
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.core.tables import Moments, SeriesTable
from heliosight.data.assemble import require_file
from heliosight.data.coronal_holes import read_coronal_holes
from heliosight.data.event_list import read_event_list
from heliosight.data.events import OMNI_NAMES, read_events
from heliosight.data.fits_frames import read_fits
from heliosight.data.image_folder import read_image_folder
from heliosight.data.kp_ap import read_daily_indices, read_kp_ap
from heliosight.data.npz_frames import read_npz as read_frames
from heliosight.data.omni2 import read_omni2
from heliosight.data.png_frames import read_png
from heliosight.data.splits import load_folds, save_folds, walk_forward
from heliosight.data.store import LAYOUT, load_store, save_store
from heliosight.issuing.archive import Archive
from heliosight.issuing.ledger import Ledger
from heliosight.models import ForecasterConfig, build_forecaster
from heliosight.models.fusion import ConcatConfig
from heliosight.models.series import LinearConfig
from heliosight.subject.loading import load_checkpoint
from heliosight.training.checkpoint import Identity, Position, read_checkpoint, write_checkpoint
from heliosight.training.journal import read_log
from heliosight.training.transfer import take_weights
from heliosight.training.weights import load_weights, save_weights
from heliosight.workflows.explain import IMPORTANCE, saved
from heliosight.workflows.improve_study import rate
from heliosight.workflows.published import (
    PublishedConfig,
    load_published,
    read_published,
    write_published,
)
from heliosight.zoo.score import certificate
from heliosight.zoo.table import text as certificate_text

START = to_seconds("2015-03-10T12:00Z")
STAMPED = "aia_2015_03_10T12_00_00.png"


@dataclass(frozen=True)
class Sample:
    """A reader, how to make a good file of its kind, and which file of a folder is damaged.

    Attributes
    ----------
    make : writes the good file or folder below a folder and returns its path.
    read : the call under attack.
    victim : the file inside a sealed folder that is damaged; empty for a single file.
    """

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    victim: str = ""


def _bytes(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content)
        return path

    return make


def _of_bytes(read: Callable[[bytes], object]) -> Callable[[Path], object]:
    return lambda path: read(_content(path))


def _content(path: Path) -> bytes:
    return require_file(path).read_bytes()


def omni2_line(hour: int) -> bytes:
    """One line of 55 words, all values 1, right-aligned in the document's widths."""
    widths = [5, 3, 3, 4, 4, *[6] * 14, 9, *[6] * 6, 9, *[6] * 5, 7, 7, 6, 3, 4, 6, 5, 10, *[9] * 5]
    widths += [3, 4, 6, 6, 6, 6, 5]
    words = "".join(f"{'1.' if w > 3 else '1':>{w}}" for w in widths)
    return f"2015  69{hour:3d}{words}\n".encode()


def sw_all() -> bytes:
    """A CelesTrak file of three observed days."""
    rows = [
        f"2015 03 {day:02d} 2471 11 20 13 17 23 30 13 10  7 133   7   5   6   9  15   5   4   3"
        "   7 0.4 2  40 120.1 0 119.0 130.2 121.0 118.8 131.0"
        for day in (10, 11, 12)
    ]
    head = "DATATYPE CssiSpaceWeather\nVERSION 1.2\nNUM_OBSERVED_POINTS 3\nBEGIN OBSERVED\n"
    return (head + "\n".join(rows) + "\nEND OBSERVED\n").encode()


def frames_npz() -> bytes:
    """A stack of four frames in three channels."""
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    stacks = {c: rng.integers(60, 200, (4, 16, 16), dtype=np.uint8) for c in CHANNELS}
    np.savez_compressed(buffer, **stacks)
    return buffer.getvalue()


CHANNELS = ("aia_193", "aia_211", "hmi_magnetogram")


def png() -> bytes:
    """One grey image."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 255, (32, 32), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def fits_bytes() -> bytes:
    """One AIA image."""
    header = {"TELESCOP": "SDO/AIA", "WAVELNTH": 193, "EXPTIME": 2.0}
    unit = fits.PrimaryHDU(np.full((32, 32), 300.0, np.float32))
    unit.header.update({**header, "T_OBS": "2015-03-10T12:00:05.84Z", "CROTA2": 0.0})
    buffer = io.BytesIO()
    unit.writeto(buffer)
    return buffer.getvalue()


def event(folder: Path) -> Path:
    """One published event file."""
    path = folder / "2015031012.h5"
    with h5py.File(path, "w") as file:
        for name in OMNI_NAMES:
            file[f"omni/{name}"] = np.full(80, 7.0)
        for name in CHANNELS:
            file[f"sdo/{name}"] = np.full((28, 16, 16), 90, np.uint8)
        times = {"t_start": START - 7 * DAY, "t_target": START, "t_end": START + 3 * DAY}
        file.attrs.update({k: to_text(v) for k, v in times.items()})
    return path


def store(folder: Path) -> Path:
    """A store of one table."""
    times = START + 3 * HOUR * np.arange(16)
    values = np.ones((16, 2), np.float32)
    table = SeriesTable(
        "solar_wind", times, 3 * HOUR, ("speed", "density"), values, np.zeros((16, 2), np.uint8), 0
    )
    save_store(folder / "store", {"solar_wind": table}, "fuzz")
    return folder / "store"


def diagnosis(folder: Path) -> Path:
    """A record with an array beside it."""
    record = records.Diagnosis(subject="a model", windows=4)
    records.save(folder / "record", record, {"maps": np.ones((2, 3))})
    return folder / "record"


def explained(folder: Path) -> Path:
    """What the explanation stage leaves: one record with its arrays, and importance beside it."""
    check = records.SelfCheck("faithfulness", True, 0.1, "beats random maps", "p 0.05 of 19")
    record = records.Explanation(
        method="occlusion", target="mean_ap_day2", units="ap (2 nT)", channels=("aia_193",),
        frame_times=(to_text(START),), checks=(check,),
    )  # fmt: skip
    profile = {"name": "modalities", "labels": ["images"], "value": [1.0], "how": "replaced"}
    with folder_in_making(folder / "explain") as making:
        records.save(making / "00_occlusion", record, {"images": np.ones((1, 1, 4, 4))})
        write_json(making / IMPORTANCE, {"profiles": [profile], "notes": []})
    return folder / "explain"


def scored(folder: Path) -> Path:
    """Explanations of one model held to a truth, with all that is summed up from them."""
    scores = {"occlusion": {"mass": 0.5}, "centre": {"mass": 0.1}}
    model = ScoredModel(world="still", seed=1, skill=0.6, achievable=0.8, scores=scores, windows=4)
    span = records.Interval(0.5, 0.4, 0.6, how="bootstrap")
    record = ExplanationScore(
        target="mean_ap_day2", definitions={"mass": "share on the truth"}, models=(model,),
        rows=(records.SkillRow("occlusion", "all models", {"mass": span}),),
        claims=(Claim("mass is at least 3", 5.0, True, "[4, 6]"),),
    )  # fmt: skip
    records.save(folder / "score", record)
    return folder / "score"


def survey(folder: Path) -> Path:
    """One method over many windows."""
    record = AttributionSurvey(method="hires_cam", units="ap (2 nT)", windows=4, icc_windows=0.2)
    records.save(folder / "survey", record, {"profile": np.ones(4), "disc": np.ones((8, 8))})
    return folder / "survey"


def resealable(name: str, record: records.Record) -> Callable[[Path], Path]:
    """A folder with one record."""

    def made(folder: Path) -> Path:
        records.save(folder / name, record)
        return folder / name

    return made


def counted(path: Path) -> object:
    """A case of the repair study, and the study's rates of it."""
    case = records.load(path, RepairCase, hashes=False)
    return rate([case.repaired]), bool(set(case.planted) & set(case.found))


def certified(path: Path) -> object:
    """A certified case, and the certificate of it alone."""
    case = records.load(path, CertifiedCase, hashes=False)
    return certificate_text(certificate([case], "test", "code"))


def unsealed(kind: type[records.Record]) -> Callable[[Path], object]:
    """A record read without looking at its hashes, so that its own rules are what holds."""
    return lambda path: records.load(path, kind, hashes=False)


def weights(folder: Path) -> Path:
    """Weights of a linear layer."""
    save_weights(nn.Linear(3, 2), folder / "weights.safetensors")
    return folder / "weights.safetensors"


def torch_checkpoint() -> bytes:
    """A checkpoint as users save it."""
    buffer = io.BytesIO()
    torch.save({"model_state_dict": nn.Linear(3, 2).state_dict(), "epoch": 3}, buffer)
    return buffer.getvalue()


def ledger(folder: Path) -> Path:
    """A ledger of three lines."""
    made = Ledger(folder / "ledger.jsonl")
    for k in range(3):
        made.append({"start": to_text(START), "months": {"2015-03": "0" * 64}, "k": k})
    return made.path


def issued(folder: Path) -> Path:
    """An archive with one issued forecast."""
    q, storm = np.ones((1, 24, 3), np.float32), np.ones((1, 3, 5), np.float32)
    valid = START + 3 * HOUR * np.arange(24)[None]
    arrays = IssuedArrays(
        np.array([START]), valid, q, q[..., 0], storm, q[:, None], q[:, None, :, 0],
        storm[:, None], np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1, np.int8),
    )  # fmt: skip
    record = IssuedForecast(records.Provenance(key="0" * 64), issue_times=(to_text(START),))
    Archive(folder / "archive").add(record, arrays, {})
    return folder / "archive"


def read_archive(folder: Path) -> object:
    """Every entry, checked against the ledger."""
    archive = Archive(folder)
    return [archive.read(entry) for entry in archive.listed()]


def checkpoint(folder: Path) -> Path:
    """Where a training stands."""
    model = nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(model.parameters())
    write_checkpoint(folder / "checkpoint.pt", model, optimiser, Position(step=3), OWNER)
    return folder / "checkpoint.pt"


OWNER = Identity("config", "split", "data")


def split(folder: Path) -> Path:
    """Folds of a walk-forward split."""
    first, last = START, START + 2000 * DAY
    folds = walk_forward(first, last, [(last - 400 * DAY, last)], 30, 0.2)
    save_folds(folder / "split.json", folds)
    return folder / "split.json"


def image_folder(folder: Path) -> Path:
    """A PNG and a FITS file of one channel."""
    place = folder / "images" / "aia_193"
    place.mkdir(parents=True)
    (place / STAMPED).write_bytes(png())
    return folder / "images"


def published(folder: Path) -> Path:
    """A tiny forecaster as others load it."""
    modality = ModalitySpec("series", "solar_wind", ("speed", "ap"), 4, 3)
    spec = ForecastSpec({"solar_wind": modality})
    series = LinearConfig(features=4)
    config = ForecasterConfig(series=series, fusion=ConcatConfig(width=4), draws=4)
    known = {"solar_wind": Moments((0.0, 0.0), (1.0, 1.0)), "target": Moments((0.0,), (1.0,))}
    model = build_forecaster(config, spec, known)
    write_published(folder / "p", model, PublishedConfig(spec, config), "# card", "# data")
    return folder / "p"


def _log() -> bytes:
    rows = [{"kind": "step", "loss": 0.5, "gradient_norms": {"head": 1.0}}] * 8
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


HOLES = b"date,ch_area,disk_median\n" + b"".join(
    b"2015-03-%02d,0.05%d,180.5\n" % (d, d) for d in range(1, 28)
)
EVENTS = b"time,class,split\n2015-03-10T12:00:00,positive,train\n2015-03-11,negative,test\n"

SPAN = records.Interval(0.1, -0.1, 0.3, how="blocks")
FINDING = records.Finding(
    "T4", "Is the state carried?", "cell", "fault", "share", SPAN, "rule", "it forgets",
    "state_not_carried", "carry it", p=0.01,
)  # fmt: skip
TRIAL = Trial(
    prescriptions=("carry_state",), patch={"model.images.carry": True}, seeds=(1, 2),
    accepted=True, cleared=2, changes={"as_it_was": SPAN}, reason="gone", proof=True,
)  # fmt: skip
RESULTS: tuple[tuple[records.Record, Callable[[Path], object]], ...] = (
    (RepairCase(case="plain", planted=("a",), found=("a",), repaired=True, gain=SPAN), counted),
    (RepairStudy(cases=1, planned=2, rates={"repaired": SPAN}), unsealed(RepairStudy)),
    (TrialRun(arm="as_it_was", patch={"a.b": 1}, findings=(FINDING,)), unsealed(TrialRun)),
    (Improvement(
        subject="full", plan=(PlanRow("carry_state", "accepted", ("a",)),), trials=(TRIAL,),
        before=(FINDING,), grades_before=(Grade("temporal", "bad", "rule", ("reason",)),),
    ), unsealed(Improvement)),
    (CertifiedCase(
        stratum="fault", kind="F1", severity="only", architecture="concat", model="m0", took=True,
        wanted=(("batch_leakage",),), symptoms=((),), questions=4, rules={"flat": True},
        named=(NamedFault("batch_leakage", "forecast", "T2"),),
    ), certified),
    (Certificate(half="test", rows=(CertificateRow("all", "exact", SPAN, 1, 1, 1.0),), cases=1),
     unsealed(Certificate)),
    (ForecastVerification(entry="e", issue_times=(to_text(START),), systems=("answer",)),
     unsealed(ForecastVerification)),
)  # fmt: skip

SAMPLES = (
    Sample("omni2", _bytes("omni2_2015.dat", b"".join(map(omni2_line, range(24)))), read_omni2),
    Sample("kp_ap", _bytes("SW-All.txt", sw_all()), read_kp_ap),
    Sample("daily_indices", _bytes("SW-All.txt", sw_all()), read_daily_indices),
    Sample("coronal_holes", _bytes("holes.csv", HOLES), read_coronal_holes),
    Sample("event_list", _bytes("events.csv", EVENTS), read_event_list),
    Sample("events", event, lambda path: read_events([path])),
    Sample(
        "npz_frames",
        _bytes("frames.npz", frames_npz()),
        lambda path: read_frames(path, START + 6 * HOUR * np.arange(4)),
    ),
    Sample("png", _bytes(STAMPED, png()), read_png),
    Sample("fits", _bytes("aia.fits", fits_bytes()), read_fits),
    Sample("store", store, load_store, LAYOUT),
    Sample("store_manifest", store, load_store, MANIFEST),
    Sample(
        "store_values", store, lambda p: load_store(p, check_hashes=False), "solar_wind/values.npy"
    ),
    Sample("record", diagnosis, lambda p: records.load(p, records.Diagnosis), records.RECORD),
    Sample(
        "record_unsealed",
        diagnosis,
        lambda p: records.load(p, records.Diagnosis, hashes=False),
        records.RECORD,
    ),
    Sample("record_arrays", diagnosis, lambda p: read_npz(p / records.ARRAYS), records.ARRAYS),
    Sample("explained", explained, saved, IMPORTANCE),
    Sample("explained_record", explained, saved, f"00_occlusion/{records.RECORD}"),
    Sample(
        "explanation_unsealed",
        explained,
        lambda p: records.load(p / "00_occlusion", records.Explanation, hashes=False),
        f"00_occlusion/{records.RECORD}",
    ),
    Sample("score_unsealed", scored, unsealed(ExplanationScore), records.RECORD),
    Sample("survey_unsealed", survey, unsealed(AttributionSurvey), records.RECORD),
    Sample("survey_arrays", survey, lambda p: read_npz(p / records.ARRAYS), records.ARRAYS),
    *(
        Sample(f"{record.schema}_unsealed", resealable(record.schema, record), read, records.RECORD)
        for record, read in RESULTS
    ),
    Sample("weights", weights, lambda path: load_weights(nn.Linear(3, 2), path)),
    Sample("safetensors", _bytes("w.safetensors", save({"a": torch.ones(3)})), load_checkpoint),
    Sample("checkpoint", _bytes("w.pth", torch_checkpoint()), load_checkpoint),
    Sample("ledger", ledger, lambda path: Ledger(path).entries()),
    Sample("archive", issued, read_archive, "ledger.jsonl"),
    Sample("split", split, load_folds),
    Sample("training_checkpoint", checkpoint, lambda p: read_checkpoint(p, nn.Linear(3, 2), OWNER)),
    Sample("first_weights", weights, lambda path: take_weights(nn.Linear(3, 2), path)),
    Sample(
        "image_folder",
        image_folder,
        lambda p: read_image_folder(p, ("aia_193",), 16),
        f"aia_193/{STAMPED}",
    ),
    Sample("published_config", published, read_published, "config.json"),
    Sample("published", published, load_published, "model.safetensors"),
    Sample("log", _bytes("log.jsonl", _log()), read_log),
    *(Sample(name, _bytes(name, data), _of_bytes(read)) for name, data, read in DOCUMENTS),
    *(Sample(name, make, read) for name, make, read in FILES),
)

"""The whole: one window, every method, its checks, its arrays, a subject left as found."""

import numpy as np
import pytest
import torch

from heliosight.core.batch import Batch
from heliosight.core.errors import ConfigError, NotApplicable
from heliosight.core.records import Explanation, load, load_arrays, save
from heliosight.core.spec import ForecastSpec, ModalitySpec
from heliosight.explain import ExplainConfig, explain, telling
from heliosight.explain.baselines import disc_median
from heliosight.explain.question import METHOD_NAMES
from heliosight.explain.reference import lamp
from heliosight.explain.truth import score_table
from heliosight.subject import wrap

FEW = {"steps": 4, "samples": 4, "patch": 4, "patch_frames": 1, "series_steps": 2}


@pytest.mark.consistency
def test_every_method_comes_with_checks_and_arrays_and_is_saved(subject_of, windows_of, tmp_path):
    subject, windows = subject_of(), windows_of(6)
    windows = Batch(
        windows.inputs, windows.observed, torch.arange(6) * 27 * 86400,
        windows.target, windows.target_mask,
    )  # fmt: skip
    window, context = windows.select([0]), windows.select(slice(1, None))
    before = {k: v.clone() for k, v in subject.module.state_dict().items()}
    found = explain(subject, window, ExplainConfig(**FEW), context)
    assert all(torch.equal(v, before[k]) for k, v in subject.module.state_dict().items())
    assert not subject.module._forward_pre_hooks and not subject.module.cell._forward_hooks
    names = [record.method for record, _ in found.explanations]
    assert [n.split()[0] for n in names] == [*METHOD_NAMES, "temporal_importance"]
    assert not found.notes
    for record, arrays in found.explanations[:-1]:
        assert {c.name.split()[0] for c in record.checks} >= {"self-test", "faithfulness"}
        assert next(c for c in record.checks if c.name.startswith("self-test")).passed
        assert arrays["images"].shape[-3:] == (5, 12, 12) and arrays["profile"].shape == (5,)
        assert record.frame_times[-1] == record.issue_time and record.units == "ap (2 nT)"
        assert arrays["frames"].shape == (2, 5, 12, 12)
    record, arrays = found.explanations[-1]
    assert set(arrays) == {"profile", "profile_low", "profile_high", "response"}
    assert abs(arrays["response"].mean()) < 1e-9
    assert np.all(arrays["profile_low"] <= arrays["profile"] + 1e-12)
    assert found.importance[0].name == "modalities"
    record, arrays = found.explanations[3]
    save(tmp_path / "one", record, arrays)
    assert load(tmp_path / "one", Explanation) == record
    assert np.array_equal(load_arrays(tmp_path / "one")["images"], arrays["images"])


@pytest.mark.accuracy
def test_the_lamp_is_explained_and_says_so():
    lit = lamp(0)
    config = ExplainConfig(target="mean_ap", methods=("integrated_gradients",), **FEW)
    record, arrays = explain(lit.subject, lit.batch, config, lit.context).explanations[0]
    assert all(c.passed for c in record.checks if c.name != "weight randomisation"), record.checks
    assert record.withheld == ()
    assert arrays["solar_wind"].shape == (8, 2)
    change = lit.batch.inputs["images"] - disc_median(lit.batch).inputs["images"]
    exact = (lit.network.image_weight() * change[0]).numpy()
    table = score_table([(record, arrays)], exact)
    assert set(table) == {"integrated_gradients", "random_smooth", "centre", "limb", "brightness"}
    assert table["integrated_gradients"]["time_correlation"] > 0.999
    others = [row["mass"] for name, row in table.items() if name != "integrated_gradients"]
    assert table["integrated_gradients"]["mass"] > 3 * max(others)
    assert score_table([], exact) == {}


@pytest.mark.accuracy
def test_without_evidence_there_is_no_explanation(net_of, windows_of, toy_spec):
    def deaf(module, batch):
        return module(batch.with_inputs({"images": torch.zeros_like(batch.inputs["images"])}))

    subject = wrap(net_of(), toy_spec, call=deaf, parts={})
    config = ExplainConfig(methods=("gradient_x_input",), quick=True)
    record, arrays = explain(subject, windows_of(1), config).explanations[0]
    assert record.notes[0] == "no explanation: size, faithfulness failed"
    assert record.withheld == ("size", "faithfulness")
    assert not any(
        word in note for note in record.notes for word in ("raised", "lowered", "move at")
    )
    assert np.abs(arrays["images"]).max() == 0


@pytest.mark.accuracy
def test_importance_without_an_interval_is_no_explanation(subject_of, windows_of):
    """All windows lie in one 27-day block."""
    config = ExplainConfig(methods=("gradient_x_input",), quick=True)
    found = explain(subject_of(), windows_of(1), config, windows_of(4, seed=1))
    record, arrays = found.explanations[-1]
    assert record.method == "temporal_importance" and set(arrays) == {"profile", "response"}
    assert record.withheld == ("evidence",) and record.notes[0].startswith("no explanation")


@pytest.mark.consistency
def test_cams_bring_their_maps_by_channel_and_their_structures(subject_of, windows_of):
    config = ExplainConfig(methods=("hires_cam",), quick=True, importance_windows=0)
    record, arrays = explain(subject_of(), windows_of(1), config).explanations[0]
    assert arrays["images"].shape == (5, 12, 12)
    assert arrays["channel_maps"].shape == (2, 5, 12, 12)
    assert any(note.startswith("by channel") for note in record.notes)
    count = len(arrays["structure_kind"])
    assert arrays["structures"].max() == count
    for name in ("sums", "latitude", "longitude"):
        assert arrays[f"structure_{name}"].shape == (count, 5)


@pytest.mark.parametrize(
    ("slope", "told"),
    [
        (0.75, "maps move at 0.75 of the Sun's rotation"),
        (-1.0, "no motion fits them best"),
        (3.0, "no motion fits them best"),
        (np.nan, "too few frames have a map"),
    ],
)
def test_a_motion_at_the_end_of_those_tried_is_none(slope, told):
    assert told in telling.motion(slope)


@pytest.mark.consistency
def test_what_cannot_be_done_is_noted(net_of, windows_of, toy_spec):
    subject = wrap(net_of(), toy_spec, parts={})
    config = ExplainConfig(methods=("grad_cam", "expected_gradients", "occlusion"), quick=True)
    found = explain(subject, windows_of(1), config)
    assert [r.method for r, _ in found.explanations] == ["occlusion"]
    assert "Grad-CAM needs a recurrent cell" in found.notes[0]
    assert "need other real windows" in found.notes[1]


@pytest.mark.consistency
def test_a_batch_dependent_subject_is_told(subject_of, windows_of):
    config = ExplainConfig(methods=("gradient_x_input",), quick=True, importance_windows=0)
    found = explain(subject_of(mixes_batch=True), windows_of(1), config, windows_of(4, seed=1))
    assert any("depends on its batch" in n for n in found.explanations[0][0].notes)


@pytest.mark.consistency
def test_a_model_of_the_wind_alone_is_explained(windows_of):
    whole = windows_of(3)
    wind = Batch(
        {"solar_wind": whole.inputs["solar_wind"]}, {"solar_wind": whole.observed["solar_wind"]},
        whole.issue_time, whole.target, whole.target_mask,
    )  # fmt: skip
    spec = ForecastSpec(
        {"solar_wind": ModalitySpec("series", "solar_wind", ("speed", "bz_gsm"), 6, 3)}
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = torch.nn.Linear(12, 24).double()
    call = lambda module, batch: module(batch.inputs["solar_wind"].flatten(1))  # noqa: E731
    subject = wrap(net, spec, call=call, parts={})
    config = ExplainConfig(methods=("grad_cam", "integrated_gradients"), quick=True)
    found = explain(subject, wind.select([0]), config, wind.select([1, 2]))
    record, arrays = found.explanations[0]
    assert record.method == "integrated_gradients" and set(arrays) == {"solar_wind"}
    assert len(found.notes) == 1 and len(found.importance) == 3
    checks = {c.name: c for c in record.checks}
    assert checks["faithfulness"].passed, checks["faithfulness"].reason


@pytest.mark.real
def test_real_frames_through_a_foreign_model(real_data, subject_of):
    """A foreign ConvLSTM, its own axes and names, on 28 real frames."""
    archive = np.load(real_data / "sdo" / "sdo_30x6h_64px.npz", allow_pickle=False)
    names = ("aia_193", "aia_211")
    frames = np.stack([archive[name][2:] for name in names])[None]
    images = torch.from_numpy(frames)
    batch = Batch(
        {"images": images}, {"images": torch.ones(1, 2, 28, dtype=torch.bool)},
        torch.zeros(1, dtype=torch.int64), torch.zeros(1, 24),
        torch.zeros(1, 24, dtype=torch.bool),
    )  # fmt: skip
    spec = ForecastSpec({"images": ModalitySpec("images", "images", names, 28, 6)})
    cell = subject_of(torch.float32).module.cell

    class Foreign(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.core, self.out = cell, torch.nn.Linear(3, 24)

        def forward(self, sdo):
            h = sdo.new_zeros(len(sdo), 3, 64, 64)
            state = (h, h)
            for t in range(sdo.shape[1]):
                state = self.core(sdo[:, t] / 255, state)
            return self.out(state[0].mean((2, 3)))

    from heliosight.subject import adapter

    subject = wrap(Foreign(), spec, call=adapter({"sdo": ("images", "B T C H W")}))
    config = ExplainConfig(methods=("grad_cam", "gradient_x_input"), quick=True)
    found = explain(subject, batch, config)
    assert [r.method for r, _ in found.explanations] == [
        "grad_cam (cell.images.0)", "gradient_x_input",
    ]  # fmt: skip
    record, arrays = found.explanations[1]
    assert arrays["images"].shape == (2, 28, 64, 64) and arrays["structures"].max() >= 1
    said = any("this coronal hole, seen at" in note for note in record.notes)
    assert said != bool(record.withheld) and (arrays["structure_kind"] == 0).any()
    late = np.abs(arrays["images"]).sum((0, 2, 3))
    assert late[-1] > 100 * late[0]


def test_bad_questions_are_refused(subject_of, windows_of):
    with pytest.raises(NotApplicable, match="an explanation is of one window"):
        explain(subject_of(), windows_of(2), ExplainConfig())
    with pytest.raises(ConfigError, match="named function of the forecast"):
        explain(subject_of(), windows_of(1), ExplainConfig(target="kp"))

"""Prescriptions to the healthy models of a certificate, counted from its records."""

import json
from dataclasses import replace

import pytest

from heliosight.cli import main
from heliosight.core import records
from heliosight.core.errors import ConfigError
from heliosight.core.records_certificate import Certificate, CertifiedCase, NamedFault
from heliosight.report.certificate_page import render_certificate_page
from heliosight.workflows.config import app_config
from heliosight.workflows.prescriptions import counted, remedies, spared, with_prescriptions
from heliosight.workflows.run import Run

WELL = CertifiedCase(stratum="healthy", kind="plain", model="a", took=True)
ILL = replace(WELL, stratum="fault", kind="F1", named=(NamedFault("collapse", "forecast", "T20"),))
ALARMED = replace(WELL, model="b", named=(NamedFault("lazy_or_blocked", "images", "USE"),))
LOST = replace(WELL, stratum="hard", kind="H2", model="c", lost=("images",))


def kept(folder, cases):
    for k, case in enumerate(cases):
        made = records.provenance("", k, str(k), {}, simulated=True)
        records.save(folder / "cases" / f"case_{k}", replace(case, provenance=made))
    return folder


def test_a_healthy_model_is_prescribed_nothing_and_a_false_alarm_is():
    assert remedies(WELL) == ()
    assert "branch_norm" in remedies(ALARMED) and "chrono_bias" not in remedies(ALARMED)


def test_a_branch_lost_at_the_fusion_is_no_fault_and_yet_is_prescribed_a_norm():
    assert LOST.named == () and "branch_norm" in remedies(LOST)


def test_a_fault_that_no_repair_answers_is_no_prescription():
    odd = replace(WELL, named=(NamedFault("unfaithful_map", "images", "T23"),))
    assert remedies(odd) == ()


def test_ill_models_and_those_that_did_not_take_are_not_counted():
    row = spared([WELL, ALARMED, LOST, ILL, replace(ALARMED, took=False)])
    assert (row.hits, row.count) == (1.0, 3) and row.goal == 0.95
    assert row.value.low < 1 / 3 < row.value.high
    assert spared([ILL]) is None


def test_the_certificate_tells_the_miss_and_only_the_miss():
    many = [replace(WELL, model=str(k)) for k in range(20)]
    well = with_prescriptions(Certificate(missed=("x",)), many)
    assert well.rows[-1].hits == 20 and well.missed == ("x",)
    ill = with_prescriptions(Certificate(), [WELL, ALARMED])
    assert ill.missed == ("prescriptions, nothing prescribed to the healthy: 0.500 of 0.95 asked",)
    assert "nothing prescribed to the healthy" in render_certificate_page(ill)
    assert with_prescriptions(Certificate(), [ILL]) == Certificate()


@pytest.mark.parametrize("inner", ["", "cases"])
def test_the_command_reads_a_finished_half_and_names_each_exception(tmp_path, capsys, inner):
    half = kept(tmp_path / "test", [WELL, ALARMED, LOST, ILL])
    words = [
        "improve",
        "study",
        "--prescriptions",
        str(half / inner),
        f"run_dir={tmp_path / 'run'}",
    ]
    assert main(words) == 1
    told = capsys.readouterr().out
    assert "4 finished cases" in told and "1 of 3  asked 0.95: MISSED" in told
    assert "plain b span 0: branch_norm" in told and "for lazy_or_blocked in images (USE)" in told
    assert "images lost at the fusion" in told
    assert main([*words, "--json"]) == 1
    row = json.loads(capsys.readouterr().out)["rows"][0]
    assert (row["hits"], row["count"]) == (1.0, 3)


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_without_healthy_models_is_refused(tmp_path, there):
    half = kept(tmp_path / "test", [ILL]) if there else tmp_path / "none"
    config = app_config({"improve": {"certified": str(half)}})
    with pytest.raises(ConfigError, match="over healthy models of a certificate"):
        counted(Run(config, tmp_path / "run", "heliosight improve study"))

"""`heliosight certify --quick` from nothing to a scored certificate, twice."""

import json

import pytest

from heliosight.cli import main
from heliosight.core import records
from heliosight.core.errors import ConfigError
from heliosight.core.records_certificate import Certificate, CertifiedCase
from heliosight.report.certificate_page import render_certificate_page
from heliosight.workflows.config import CertifyConfig


@pytest.mark.slow
@pytest.mark.timeout(1200)  # half a minute of CPU; a loaded machine hands it out slowly
def test_a_quick_certificate_is_right_and_is_not_made_twice(tmp_path, capsys):
    words = ["certify", "--quick", f"run_dir={tmp_path}", "certify.workers=1", "threads=1"]
    assert main([*words, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    rows = {(r["group"], r["name"]): r for r in first["rows"]}
    assert rows["sensitivity", "exact faults"]["value"]["value"] == 1.0
    assert rows["first cause", "exact and moderate"]["value"]["value"] == 1.0
    assert rows["false alarms", "any in a healthy model"]["hits"] == 0
    assert first["missed"] == [] and first["not_taken"] == []
    folder = tmp_path / "certify" / "quick"
    cases = sorted((folder / "cases").iterdir())
    made = [records.load(case, CertifiedCase) for case in cases]
    assert {"F1", "F4", "F8", "F14a", "F18a", "H5", "plain"} == {case.kind for case in made}
    assert all(case.took for case in made)
    stamps = {case: case.stat().st_mtime_ns for case in cases}
    assert main(words) == 0
    assert stamps == {case: case.stat().st_mtime_ns for case in cases}
    assert "exact faults" in capsys.readouterr().out
    certificate = records.load(folder / "certificate", Certificate)
    page = render_certificate_page(certificate)
    assert "5 of 5 goals are reached" in page and "SIMULATED" in page and "<script" not in page


def test_a_certificate_has_a_process():
    with pytest.raises(ConfigError, match="a certificate needs a process"):
        CertifyConfig(workers=0)

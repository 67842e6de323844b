"""What was found by trying to break improve and its study, certify, publish and the server."""

import http.client
import shutil
from threading import Thread

import pytest

from heliosight.cli import main
from heliosight.core.errors import ConfigError
from heliosight.issuing.archive import Archive
from heliosight.issuing.routes import routes
from heliosight.issuing.server import server
from heliosight.workflows.config import CertifyConfig, ForecastConfig, PublishConfig
from heliosight.workflows.config_improve import ImproveConfig
from heliosight.workflows.serve import serving


@pytest.mark.parametrize("name", ["seeds", "study_seeds", "windows", "replicates", "explained"])
def test_an_improvement_that_asks_for_all_memory_is_refused(name):
    with pytest.raises(ConfigError, match="a count is at most 1000"):
        ImproveConfig(**{name: 10**12})
    ImproveConfig(**{name: 900})


@pytest.mark.parametrize("name", ["F99", "", "f1", "../F1"])
def test_a_slip_in_a_fault_is_no_certificate_of_the_healthy_alone(name, tmp_path, capsys):
    words = ["certify", "--quick", "--config-name", "demo", f"run_dir={tmp_path / 'r'}"]
    assert main([*words, f"certify.only=['{name}']"]) == 2
    said = capsys.readouterr().err
    assert "a certificate is of faults and hard kinds" in said and "F14a" in said
    assert not (tmp_path / "r").exists()
    assert CertifyConfig(only=("F1",)).only == ("F1",)


@pytest.mark.parametrize("licence", ["", "mit\ntags: [x]", "a: b", "<b>", "mit #"])
def test_a_licence_writes_no_other_line_of_a_card(licence):
    with pytest.raises(ConfigError, match="a licence is named as hubs do"):
        PublishConfig(licence=licence)


def test_a_contact_is_one_line():
    with pytest.raises(ConfigError, match="a contact is one printable line"):
        PublishConfig(contact="me\n---\nlicense: other")
    assert PublishConfig(contact="천문대 <sun@example.org>").contact


@pytest.mark.parametrize("host", ["", "127.0.0.1\0", "a\nb"])
def test_an_address_without_a_name_is_not_every_address(host):
    with pytest.raises(ConfigError, match="a server is given the name of an address"):
        ForecastConfig(host=host)


@pytest.mark.parametrize("host", ["x" * 80, "a..b", "no-such-host.invalid"])
def test_a_host_that_no_name_service_takes_is_refused_in_words(host, tmp_path, monkeypatch):
    from types import SimpleNamespace

    from heliosight.workflows.serve import serve

    run = SimpleNamespace(config=SimpleNamespace(forecast=ForecastConfig(host=host, port=0)))
    with pytest.raises(ConfigError, match="a server gets the address it is given"):
        serve(run, Archive(tmp_path / "archive"))


def answered(folder, break_it=lambda: None, raw=None):
    """Status of `/`, or of what is sent as it stands, from a server of that archive."""
    archive = Archive(folder)
    running = server("127.0.0.1", 0, lambda: routes(archive, lambda e, _: f"{len(e)}"))
    Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    break_it()
    connection = http.client.HTTPConnection(*running.server_address[:2], timeout=5)
    try:
        connection.putrequest("GET", "/")
        for header in raw or ():
            connection.putheader(*header)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()
        running.shutdown()
        running.server_close()


def test_an_archive_that_goes_away_is_an_answer(tmp_path, monkeypatch):
    archive = tmp_path / "archive"
    archive.mkdir()

    def gone(_):
        raise PermissionError(13, "Permission denied", "ledger.jsonl")

    monkeypatch.setattr(Archive, "listed", gone)
    assert answered(archive) == 500
    monkeypatch.undo()
    assert answered(archive, lambda: shutil.rmtree(archive)) == 200


def test_a_second_length_does_not_hide_a_body(tmp_path):
    two = [("Content-Length", "0"), ("Content-Length", "12")]
    assert answered(tmp_path, raw=two) == 413
    assert answered(tmp_path, raw=two[:1]) == 200


def test_a_server_that_is_asked_for_this_machine_is_on_it_alone(tmp_path):
    running = serving("localhost", 0, Archive(tmp_path))
    assert running.server_address[0] == "127.0.0.1"
    running.server_close()

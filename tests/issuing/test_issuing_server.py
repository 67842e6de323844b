"""The server answers what is listed, to this machine, and nothing else."""

import http.client
import socket
from threading import Thread

import pytest
from issuing_worlds import issued

from heliosight.issuing import server as module
from heliosight.issuing.archive import Archive
from heliosight.issuing.routes import routes
from heliosight.issuing.server import HEADERS, server

PAGE = b"<!DOCTYPE html><title>a forecast</title>"


@pytest.fixture
def archive(tmp_path):
    archive = Archive(tmp_path / "archive")
    archive.add(*issued(), {"page.en.html": PAGE, "forecast.json": b"{}", "secret.txt": b"no"})
    (tmp_path / "outside.txt").write_text("outside")
    return archive


@pytest.fixture
def address(archive):
    running = server("127.0.0.1", 0, lambda: routes(archive, lambda e, k: f"{len(e)} {k}"))
    thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield running.server_address
    running.shutdown()
    running.server_close()


def ask(address, path, method="GET", headers=None, body=None):
    connection = http.client.HTTPConnection(*address[:2], timeout=5)
    connection.request(method, path, body=body, headers=headers or {})
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def test_it_is_bound_to_this_machine_alone(address):
    assert address[0] == "127.0.0.1"


def test_what_is_listed_is_answered_with_the_headers_that_protect_it(address, archive):
    name = archive.listed()[0].name
    for path, kind in (
        ("/", "text/html; charset=utf-8"),
        ("/latest/page.en.html", "text/html; charset=utf-8"),
        (f"/entries/{name}/forecast.json?x=1", "application/json"),
    ):
        status, headers, body = ask(address, path)
        assert (status, headers["Content-Type"]) == (200, kind)
        assert all(headers[key] == value for key, value in HEADERS.items())
        assert "script-src" not in headers["Content-Security-Policy"]
        assert len(body) == int(headers["Content-Length"])
    assert ask(address, "/latest/page.en.html")[2] == PAGE
    assert ask(address, "/ko")[2] == b"1 ko"


def test_an_altered_ledger_is_an_answer_too(address, archive):
    archive.ledger.path.write_bytes(archive.ledger.path.read_bytes().replace(b"20", b"19"))
    status, headers, body = ask(address, "/")
    assert (status, body) == (500, b"Internal Server Error")
    assert all(headers[key] == value for key, value in HEADERS.items())


def test_head_gives_the_headers_alone(address):
    status, headers, body = ask(address, "/latest/page.en.html", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(PAGE)), b"")


@pytest.mark.parametrize(
    "path",
    [
        "/../outside.txt", "/entries/../../outside.txt", "/%2e%2e/outside.txt",
        "/..%2foutside.txt", "//etc/passwd", "/etc/passwd", "/latest/secret.txt",
        "/latest/../entries", "/ledger.jsonl", "/entries/", "/latest/page.en.html/",
        "/latest/page.en.html%00", "/latest\\page.en.html", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_nothing_else_can_be_reached(address, path):
    status, _, body = ask(address, path)
    assert status == 404
    assert b"outside" not in body
    assert b"root:" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "MADE_UP"])
def test_only_get_and_head_are_answered(address, method):
    status, headers, _ = ask(address, "/", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert headers["Connection"] == "close"


def test_a_body_a_long_path_and_a_foreign_host_are_refused(address):
    assert ask(address, "/", body=b"x" * 10)[0] == 413
    assert ask(address, "/" + "a" * 600)[0] == 414
    assert ask(address, "/", headers={"Host": "evil.example"})[0] == 421
    assert ask(address, "/", headers={"Host": f"localhost:{address[1]}"})[0] == 200


def test_bound_everywhere_it_answers_to_any_address_and_to_no_foreign_name():
    assert module._is_known("192.168.1.7", (*module.HOSTS, "0.0.0.0"))
    assert not module._is_known("evil.example", (*module.HOSTS, "0.0.0.0"))
    assert not module._is_known("192.168.1.7", module.HOSTS)


def test_a_broken_request_gets_an_answer_and_the_next_one_is_served(address):
    with socket.create_connection(address[:2], timeout=5) as raw:
        raw.sendall(b"nonsense\r\n\r\n")
        assert raw.recv(200) == b"Bad Request"  # of version 0.9: no headers
    with socket.create_connection(address[:2], timeout=5) as raw:
        raw.sendall(b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n")
        assert b"414" in raw.recv(200)
    assert ask(address, "/")[0] == 200


def test_a_file_beyond_the_limit_or_a_link_is_not_sent(address, archive, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "LARGEST_ANSWER", 3)
    assert ask(address, "/latest/page.en.html")[0] == 404
    assert ask(address, "/latest/forecast.json")[0] == 200
    json = archive.entry(archive.listed()[0].name) / "forecast.json"
    json.unlink()
    json.symlink_to(tmp_path / "outside.txt")
    assert ask(address, "/latest/forecast.json")[0] == 404


def test_a_crowd_is_turned_away_and_later_served(archive, monkeypatch):
    monkeypatch.setattr(module, "MOST_AT_ONCE", 1)
    running = server("127.0.0.1", 0, lambda: routes(archive, "{} {}".format))
    Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        with socket.create_connection(running.server_address[:2], timeout=5) as idle:
            idle.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")  # holds the only place
            with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
                ask(running.server_address, "/")
        for _ in range(100):
            try:
                assert ask(running.server_address, "/")[0] == 200
                break
            except (http.client.RemoteDisconnected, ConnectionError):
                continue
        else:
            pytest.fail("the place was never given back")
    finally:
        running.shutdown()
        running.server_close()

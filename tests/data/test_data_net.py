"""Bad days of an archive, replayed by a local server: a clear error, nothing on disk changed."""

import ast
import json
import socket
import threading
import time
from email.utils import formatdate
from pathlib import Path

import pytest
from archive_server import Reply, serve

from heliosight.core.clock import to_seconds
from heliosight.core.errors import DataError
from heliosight.data.archives.documents import json_of
from heliosight.data.net.client import Client, _retry_after
from heliosight.data.net.download import Fetcher, Item, Terms, summary
from heliosight.data.net.errors import (
    HashMismatch,
    Moved,
    NotPublished,
    RateLimited,
    Truncated,
    Unreachable,
    WrongAnswer,
    WrongClock,
)
from heliosight.data.net.ledger import LEDGER, Entry, Ledger, place
from heliosight.data.net.pace import Pace

TERMS = {"toy": Terms("CC BY 4.0", "Somebody (2026)")}
BODY = json.dumps({"values": list(range(2000))}).encode()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def archive():
    with serve() as running:
        yield running


class Naps(list):
    def __call__(self, seconds):
        self.append(seconds)


def client(naps=None, **changes):
    naps = Naps() if naps is None else naps
    pace = Pace(1000.0, sleep=naps)
    return Client(**{"pace": pace, "sleep": naps, "timeout": 2.0, "retries": 2, **changes})


def item(archive, path="a.json", **changes):
    url = f"{archive.url}/{path}"
    plain = {"source": "toy", "urls": (url,), "path": f"toy/{path}", "estimate": 10}
    known = {"limit": 100_000, "check": lambda data: json_of(data, "a toy")}
    return Item(**{**plain, **known, **changes})


def fetch(root, items, **changes):
    return Fetcher(root, client(**changes), TERMS).all(items)


def state(root):
    """Every file but the parts that a next run continues."""
    files = sorted(p for p in root.rglob("*") if p.is_file() and ".part" not in p.name)
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in files}


def fails(root, items, kind, match, **changes):
    before = state(root)
    outcome = fetch(root, items, **changes)
    assert not outcome.fetched
    assert state(root) == before
    (error,) = outcome.failed.values()
    assert type(error) is kind, error
    with pytest.raises(kind, match=match):
        raise error
    return outcome


def test_a_file_is_entered_with_address_hash_time_and_terms_and_fetched_once(tmp_path, archive):
    archive.replies["/a.json"] = Reply(BODY, headers={"ETag": '"1"'})
    first = fetch(tmp_path, [item(archive)])
    (entry,) = first.fetched
    assert (tmp_path / "toy" / "a.json").read_bytes() == BODY
    assert entry.url == f"{archive.url}/a.json" and entry.bytes == len(BODY)
    assert entry.licence == "CC BY 4.0" and entry.citation == "Somebody (2026)"
    assert time.time() - 60 < to_seconds(entry.retrieved) <= time.time()
    assert Ledger(tmp_path).verify() == []
    before = state(tmp_path)
    again = fetch(tmp_path, [item(archive)])
    assert not again.fetched and again.kept == ["toy/a.json"] and len(archive.asked) == 1
    assert state(tmp_path) == before
    assert summary(first)[0].startswith("fetched 1 files (0.0 MB), kept 0, 0 gaps, 0 failed")


def test_a_file_that_may_change_is_asked_for_by_its_tag_and_not_sent_again(tmp_path, archive):
    archive.replies["/a.json"] = Reply(BODY, headers={"ETag": '"1"'})
    fetch(tmp_path, [item(archive, fresh_for=0.0)])
    again = fetch(tmp_path, [item(archive, fresh_for=0.0)])
    assert again.kept == ["toy/a.json"] and not again.fetched
    assert archive.asked[1][1]["if-none-match"] == '"1"'
    archive.replies["/a.json"] = Reply(b"[1]", headers={"ETag": '"2"'})
    assert fetch(tmp_path, [item(archive, fresh_for=0.0)]).fetched[0].bytes == 3
    assert (tmp_path / "toy" / "a.json").read_bytes() == b"[1]"
    assert [e.bytes for e in Ledger(tmp_path).history()] == [len(BODY), len(BODY), 3]


@pytest.mark.parametrize(
    "headers", [{"ETag": '"1"'}, {"Last-Modified": formatdate(1e9, usegmt=True)}]
)
def test_half_a_file_is_continued_not_begun_again(tmp_path, archive, headers):
    archive.replies["/a.json"] = Reply(BODY, headers=headers, cut=3000)
    failed = fails(tmp_path, [item(archive)], Truncated, "3000 of", retries=0)
    assert "toy/a.json" in failed.failed
    version = {"ETag": next(iter(headers.values()))}
    archive.replies["/a.json"] = Reply(BODY, headers=headers | version)
    fetch(tmp_path, [item(archive)])
    assert (tmp_path / "toy" / "a.json").read_bytes() == BODY
    assert archive.asked[-1][1]["range"] == "bytes=3000-"
    assert not list(tmp_path.rglob("*.part*"))


def test_half_a_file_without_a_version_is_begun_again(tmp_path, archive):
    archive.replies["/a.json"] = [Reply(BODY, cut=3000), Reply(BODY)]
    fetch(tmp_path, [item(archive)])
    assert (tmp_path / "toy" / "a.json").read_bytes() == BODY
    assert "range" not in archive.asked[-1][1]


def test_a_part_of_an_older_version_is_thrown_away(tmp_path, archive):
    archive.replies["/a.json"] = Reply(BODY, headers={"ETag": '"1"'}, cut=3000)
    fetch(tmp_path, [item(archive)], retries=0)
    archive.replies["/a.json"] = Reply(b"[2]", headers={"ETag": '"2"'})
    fetch(tmp_path, [item(archive)])
    assert (tmp_path / "toy" / "a.json").read_bytes() == b"[2]"


def test_a_range_that_begins_elsewhere_is_not_glued_on(tmp_path, archive):
    odd = Reply(BODY[100:], 206, {"Content-Range": f"bytes 100-{len(BODY) - 1}/{len(BODY)}"})
    archive.replies["/a.json"] = [
        Reply(BODY, headers={"ETag": '"1"'}, cut=3000), odd, Reply(BODY, headers={"ETag": '"1"'}),
    ]  # fmt: skip
    fetch(tmp_path, [item(archive)])
    assert (tmp_path / "toy" / "a.json").read_bytes() == BODY


def test_a_range_that_cannot_be_had_begins_again(tmp_path, archive):
    archive.replies["/a.json"] = [
        Reply(BODY, headers={"ETag": '"1"'}, cut=3000), Reply(status=416), Reply(BODY),
    ]  # fmt: skip
    fetch(tmp_path, [item(archive)])
    assert (tmp_path / "toy" / "a.json").read_bytes() == BODY


@pytest.mark.parametrize(
    ("reply", "kind", "match"),
    [
        (Reply(b"<!DOCTYPE html><title>Login</title>"), WrongAnswer, "not a web page.*login"),
        (Reply(b""), WrongAnswer, "holds lines"),
        (Reply(b'{"values": [1, 2'), WrongAnswer, "is JSON.*cut off"),
        (Reply(b"\xff\xfe\x00"), WrongAnswer, "plain text"),
        (Reply(b"[" * 5000), WrongAnswer, "is JSON"),
        (Reply(BODY * 60), WrongAnswer, "no longer than the file it should be"),
        (Reply(BODY * 60, headers={"Content-Length": "20"}), WrongAnswer, "is JSON"),
        (Reply(BODY, headers={"Content-Encoding": "gzip"}), WrongAnswer, "comes as it is"),
        (Reply(b"who are you", 403), WrongAnswer, "HTTP 403 who are you"),
        (Reply(b"<html>500</html>", 500), Unreachable, "an archive answers.*HTTP 500"),
        (Reply(b"", 503), Unreachable, "HTTP 503"),
        (Reply(b"slow down", 429, {"Retry-After": "9999"}), RateLimited, "Retry-After 9999 s"),
        (Reply(b"", 302, {"Location": "https://elsewhere.example/a"}), Moved, "elsewhere.example"),
        (Reply(b"", 301, {"Location": "/a.json"}), Moved, "redirects end"),
        (Reply(b"", 301, {"Location": "https://[::1/"}), Moved, "a redirect names an address"),
        (Reply(b"", 301, {"Location": "https://x:y/"}), Moved, "a redirect names an address"),
        (Reply(b"", 301, {"Location": "/a b\xe9"}), Moved, "a redirect names an address"),
        (Reply(b"", 429, {"Retry-After": "\xb2"}), RateLimited, "asked no faster"),
        (Reply(b"", 301, {"Location": "ftp://127.0.0.1/a"}), Moved, "stays on its host"),
    ],
)
def test_a_wrong_answer_is_named_and_changes_nothing(tmp_path, archive, reply, kind, match):
    archive.replies["/old.json"] = Reply(BODY)
    fetch(tmp_path, [item(archive, "old.json")])
    archive.replies["/a.json"] = reply
    fails(tmp_path, [item(archive)], kind, match)
    archive.replies["/a.json"] = Reply(BODY)
    assert len(fetch(tmp_path, [item(archive), item(archive, "old.json")]).fetched) == 1


def test_a_body_longer_than_allowed_stops_although_no_length_was_told(tmp_path, archive):
    chunk = b"%x\r\n%b\r\n" % (len(BODY), BODY)
    endless = Reply(chunk * 60 + b"0\r\n\r\n", headers={"Transfer-Encoding": "chunked"})
    endless.headers["Content-Length"] = ""
    archive.replies["/a.json"] = endless
    outcome = fetch(tmp_path, [item(archive)])
    assert isinstance(outcome.failed["toy/a.json"], DataError)
    assert not list(tmp_path.rglob("*.json"))


def test_a_missing_month_is_a_gap_and_another_address_is_tried_first(tmp_path, archive):
    archive.replies["/b.json"] = Reply(BODY)
    both = (f"{archive.url}/a.json", f"{archive.url}/b.json")
    outcome = fetch(tmp_path, [item(archive, urls=both), item(archive, "c.json")])
    assert outcome.fetched[0].url.endswith("/b.json")
    assert not outcome.failed and "HTTP 404" in outcome.gaps["toy/c.json"]
    assert any("gap: toy/c.json" in line for line in summary(outcome))
    with pytest.raises(NotPublished, match="has the file asked for"):
        client().download(f"{archive.url}/c.json", tmp_path / "p", 10)


def test_a_busy_archive_is_left_alone_for_as_long_as_it_asks(tmp_path, archive):
    naps = Naps()
    soon = formatdate(time.time() + 40, usegmt=True)
    archive.replies["/a.json"] = [
        Reply(b"", 429, {"Retry-After": "7"}), Reply(b"", 503, {"Retry-After": soon}), Reply(BODY),
    ]  # fmt: skip
    assert fetch(tmp_path, [item(archive)], naps=naps).fetched
    assert naps[0] == 7.0 and any(30 < nap <= 40 for nap in naps)
    assert _retry_after("next week", 0.0) is None and _retry_after(None, 0.0) is None


def test_a_redirect_on_the_host_or_to_an_allowed_one_is_followed(tmp_path, archive):
    with serve() as other:
        other.replies["/new.json"] = Reply(BODY)
        archive.replies["/a.json"] = Reply(b"", 301, {"Location": "/b.json"})
        archive.replies["/b.json"] = Reply(b"", 302, {"Location": f"{other.url}/new.json"})
        fails(tmp_path, [item(archive)], Moved, "fetch.allowed_hosts")
        assert fetch(tmp_path, [item(archive)], allowed=("127.0.0.1",)).fetched


def test_a_server_that_is_down_is_told_and_not_asked_for_every_file(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]

    class Nowhere:
        url = f"http://127.0.0.1:{port}"

    items = [item(Nowhere, f"{i}.json") for i in range(8)]
    outcome = Fetcher(tmp_path, client(retries=0), TERMS, parallel=1).all(items)
    assert {type(error) for error in outcome.failed.values()} == {Unreachable}
    skipped = [e for e in outcome.failed.values() if "left alone" in str(e)]
    assert len(skipped) == 5 and "3 failures in a row" in str(skipped[0])
    assert not state(tmp_path)


def test_a_silent_server_is_given_up(tmp_path):
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()

        class Mute:
            url = f"http://127.0.0.1:{mute.getsockname()[1]}"

        fails(tmp_path, [item(Mute)], Unreachable, "timed out", timeout=0.2, retries=0)


def test_a_trickle_is_given_up_and_what_came_is_kept(tmp_path, archive):
    archive.replies["/a.json"] = Reply(BODY, headers={"ETag": '"1"'})
    ticks = iter(range(0, 10**9, 1000))
    slow = client(clock=lambda: float(next(ticks)), retries=0)
    with pytest.raises(Unreachable, match="more than 2000 bytes a second"):
        slow.download(f"{archive.url}/a.json", tmp_path / "a.part", 10**6)
    assert (tmp_path / "a.part").stat().st_size > 0


def test_clocks_that_disagree_stop_what_is_live_and_are_noted_else(tmp_path, archive):
    archive.replies["/a.json"] = Reply(BODY, skew=7200.0)
    fails(tmp_path, [item(archive, live=True)], WrongClock, "Set this machine's clock")
    outcome = fetch(tmp_path, [item(archive)])
    assert outcome.fetched and "server's clock is +7" in outcome.notes[0]


def test_a_known_hash_must_match(tmp_path, archive):
    archive.replies["/a.json"] = Reply(BODY)
    fails(tmp_path, [item(archive, sha256="0" * 64)], HashMismatch, "hash that is known")


def test_a_run_killed_between_ledger_and_rename_loses_nothing(tmp_path, archive, monkeypatch):
    archive.replies["/a.json"] = Reply(BODY)

    def killed(self, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            fetch(tmp_path, [item(archive)])
    assert not (tmp_path / "toy" / "a.json").exists()
    outcome = fetch(tmp_path, [item(archive)])
    assert outcome.kept == ["toy/a.json"] and len(archive.asked) == 1
    assert Ledger(tmp_path).verify() == []


def entry(path="toy/a.json"):
    return Entry(path, "toy", "http://x", "0" * 64, 3, "2026-01-01T00:00:00Z", "", "")


def test_a_cut_off_ledger_line_is_ended_and_a_strange_one_refused(tmp_path):
    Ledger(tmp_path).add(entry())
    whole = (tmp_path / LEDGER).read_bytes()
    (tmp_path / LEDGER).write_bytes(whole + whole[:20])
    ledger = Ledger(tmp_path)
    assert list(ledger.entries) == ["toy/a.json"]
    ledger.add(entry("toy/b.json"))
    assert list(Ledger(tmp_path).entries) == ["toy/a.json", "toy/b.json"]
    assert ledger.verify() == ["toy/a.json", "toy/b.json"]
    for line in (b"{}\n", b"[]\n", b"no\n", whole.replace(b'"bytes": 3', b'"bytes": "3"')):
        (tmp_path / LEDGER).write_bytes(line)
        with pytest.raises(DataError, match="every line of a ledger describes a file"):
            Ledger(tmp_path)


@pytest.mark.parametrize(
    "name", ["../a", "/etc/passwd", "a/../../b", ".hidden", "a//b", "a/", "", "a\\b"]
)
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    with pytest.raises(DataError, match="plain name inside its folder"):
        place(tmp_path / "root", name)


def test_a_link_does_not_lead_out_of_the_folder(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "out").symlink_to(tmp_path)
    with pytest.raises(DataError, match="plain name inside its folder"):
        place(tmp_path / "root", "out/a")


def test_turns_at_a_host_are_spaced_whatever_the_number_of_threads():
    naps, now = Naps(), 100.0
    pace = Pace(2.0, clock=lambda: now, sleep=naps)
    threads = [threading.Thread(target=pace.wait, args=("h",)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(naps) == [0.5, 1.0, 1.5, 2.0]
    pace.rest("h", 60.0)
    pace.wait("h")
    pace.wait("other")
    assert naps[-1] == 60.0


def test_many_files_come_in_parallel_and_one_that_fails_stops_no_other(tmp_path, archive):
    for i in range(20):
        archive.replies[f"/{i}.json"] = Reply(BODY if i != 7 else b"<html>")
    outcome = fetch(tmp_path, [item(archive, f"{i}.json") for i in range(20)])
    assert len(outcome.fetched) == 19 and list(outcome.failed) == ["toy/7.json"]
    assert "FAILED: toy/7.json" in "\n".join(summary(outcome))


def test_only_the_client_can_reach_the_network():
    root = Path(__file__).parents[2] / "src" / "heliosight"
    reaching = {"urllib.request", "http.client", "requests", "httpx", "aiohttp", "urllib3"}
    found = set()
    for path in root.rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if any(name in text for name in reaching) else ():
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if reaching & set(names):
                found.add(path.relative_to(root).as_posix())
    assert found - {"data/net/client.py"} == set()

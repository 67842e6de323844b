"""The remote session is never part of an ordinary run, and is red where no archive answers."""

import socket
import sys
import tomllib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "remote"))
import test_remote_archives as session

from heliosight.data.net.errors import Unreachable

ROOT = Path(__file__).parents[2]


def test_it_is_deselected_unless_asked_for(request):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]
    assert "-m 'not remote'" in settings["ini_options"]["addopts"]
    assert any(mark.name == "remote" for mark in session.pytestmark)
    assert "-m remote tests/remote" in (ROOT / "Makefile").read_text()
    assert "remote" in str(request.config.getini("markers"))


@pytest.mark.parametrize(
    "test",
    [
        lambda folder: session.test_series_of_a_past_year_are_read(folder, "omni2"),
        lambda folder: session.test_live_series_are_of_the_last_hours(folder, "swpc_kp"),
        lambda folder: session.test_an_image_of_a_past_day_is_read_upright(
            folder, "hmi_quick_look"
        ),
        session.test_jsoc_answers_as_it_did,
    ],
)
def test_it_fails_and_does_not_skip_without_a_network(tmp_path, monkeypatch, test):
    def unreachable(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(socket, "create_connection", unreachable)
    monkeypatch.setattr(
        "heliosight.data.net.client.Client.download", _at_once(session.Client.download)
    )
    with pytest.raises((AssertionError, Unreachable), match="an archive answers"):
        test(tmp_path)


def _at_once(download):
    """The same download without the waits between its attempts."""
    from dataclasses import replace

    def now(client, *args):
        return download(replace(client, sleep=lambda _: None), *args)

    return now

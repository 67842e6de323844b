"""Broken files of every kind are read or refused with our own error, as in knocks/fuzz.py."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "knocks"))
fuzz = pytest.importorskip("fuzz", reason="the knocks lie beside the tests in a checkout")


@pytest.fixture(autouse=True)
def alarm(monkeypatch):
    before = fuzz.signal.signal(fuzz.signal.SIGALRM, fuzz._too_slow)
    yield
    fuzz.signal.signal(fuzz.signal.SIGALRM, before)


@pytest.mark.parametrize("sample", fuzz.SAMPLES, ids=lambda sample: sample.name)
def test_the_good_file_is_read(sample, tmp_path):
    sample.read(sample.make(tmp_path))


@pytest.mark.parametrize("sample", fuzz.SAMPLES, ids=lambda sample: sample.name)
def test_broken_files_are_refused_in_our_own_words(sample):
    outcomes = [fuzz.attempt(sample, np.random.default_rng([7, n])) for n in range(12)]
    assert [problem for _, problem in outcomes if problem] == []
    assert any(outcome == "refused" for outcome, _ in outcomes)


def test_a_reader_that_crashes_is_caught(tmp_path):
    def crash(path):
        raise IndexError(path)

    sample = fuzz.Sample("bad", fuzz.SAMPLES[0].make, crash)
    assert "IndexError" in fuzz.attempt(sample, np.random.default_rng(0))[1]


def test_a_reader_that_writes_beside_its_file_is_caught(tmp_path):
    sample = fuzz.Sample("bad", fuzz.SAMPLES[0].make, lambda p: (p.parent / "x").write_text(""))
    assert "written beside" in fuzz.attempt(sample, np.random.default_rng(0))[1]

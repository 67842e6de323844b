"""Truth and data are separate: no workflow that makes or trains on data may see the oracle."""

import re
from pathlib import Path

import heliosight.workflows

KNOWS = "known_sun.py"  # asked for the truth after a model was trained
BRACKET = "knowable.py"  # what can be known, beside a score that was already made


def test_no_other_workflow_sees_the_oracle():
    folder = Path(heliosight.workflows.__file__).parent
    for path in folder.glob("*.py"):
        if path.name in (KNOWS, BRACKET):
            continue
        assert not re.search(
            r"\b(Oracle|oracle|information)\b.*import|import.*\bOracle\b", path.read_text()
        ), path


def test_what_knows_the_truth_neither_makes_data_nor_trains():
    folder = Path(heliosight.workflows.__file__).parent
    text = (folder / KNOWS).read_text()
    assert set(re.findall(r"from (heliosight\S*)", text)) == {"heliosight.sun"}
    users = [
        p.name for p in folder.glob("*.py") if "known_sun" in p.read_text() and p.name != KNOWS
    ]
    assert users == ["explain_score.py"]


def test_what_can_be_known_is_only_told_beside_a_score():
    folder = Path(heliosight.workflows.__file__).parent
    users = {
        p.name
        for p in folder.glob("*.py")
        if re.search(r"import .*knowable|\.knowable import", p.read_text())
    }
    assert users == {"examination.py", "before_after.py"}
    for name in ("train.py", "study.py", "data.py", "trial.py", "trials.py", "arms.py"):
        path = folder / name
        assert not path.is_file() or "knowable" not in path.read_text()

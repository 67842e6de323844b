"""Truth and data are separate: no workflow that makes or trains on data may see the oracle."""

import re
from pathlib import Path

import heliosight.workflows

KNOWS = "known_sun.py"  # asked for the truth after a model was trained


def test_no_other_workflow_sees_the_oracle():
    folder = Path(heliosight.workflows.__file__).parent
    for path in folder.glob("*.py"):
        if path.name == KNOWS:
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

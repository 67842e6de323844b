"""Truth and data are separate: no workflow that makes or trains on data may see the oracle."""

import re
from pathlib import Path

import heliosight.workflows


def test_no_workflow_sees_the_oracle():
    folder = Path(heliosight.workflows.__file__).parent
    for path in folder.glob("*.py"):
        assert not re.search(
            r"\b(Oracle|oracle|information)\b.*import|import.*\bOracle\b", path.read_text()
        ), path

"""The known facts on the real observations."""

from pathlib import Path

import pytest

from heliosight.core.clock import to_seconds, year_start
from heliosight.core.records import Scorecard
from heliosight.data.coronal_holes import read_coronal_holes
from heliosight.data.kp_ap import read_kp_ap
from heliosight.data.omni2 import read_omni2
from heliosight.data.splits import walk_forward
from heliosight.data.three_hourly import three_hourly
from heliosight.evaluation.real import RealTableConfig, known_facts, real_table
from heliosight.evaluation.scorecard import ScorecardConfig, find
from heliosight.evaluation.table import facts_text, leakage_text


@pytest.mark.real
@pytest.mark.slow
def test_the_known_facts_are_seen(real_data: Path) -> None:
    files = [real_data / "omni2" / f"omni2_{year}.dat" for year in range(2011, 2023)]
    wind = three_hourly(read_omni2(files))
    ap = read_kp_ap(real_data / "kp_ap" / "SW-All_1957_2022.txt")
    holes = read_coronal_holes(real_data / "coronal_holes" / "aia193_ch_area_daily_2011_2022.csv")
    blocks = [(year_start(y), year_start(y + 2)) for y in (2015, 2017, 2019, 2021)]
    folds = walk_forward(to_seconds("2011-03-01"), year_start(2023), blocks)
    config = RealTableConfig(ScorecardConfig(replicates=200))
    _, card, extras = real_table(ap, wind, holes, folds, config)
    facts = {fact.statement: fact for fact in extras.facts}
    assert len(facts) == 13
    assert all(f.holds for f in facts.values()), facts_text(extras.facts)
    assert "random anchors" in leakage_text(extras.leakage)
    assert card.issue_times > 23_000
    best = find(card.rows, "ridge_omni_ch", "day 3", "corr_log_pooled")
    assert best is not None and best.value == pytest.approx(0.39, abs=0.02)


def test_facts_that_cannot_be_seen_are_not_claimed() -> None:
    facts = known_facts(Scorecard(), (), (13,))
    assert facts and not any(f.holds for f in facts)

"""A few scores by day ahead, with block intervals: what a forecast page says of the past.

A whole scorecard has eight thousand intervals; a page that is made every three hours needs sixty.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from heliosight.core.predictions import Predictions
from heliosight.core.records import Interval
from heliosight.core.seeding import numpy_stream
from heliosight.evaluation.bootstrap import Blocks, interval
from heliosight.evaluation.sampling import sample_scores
from heliosight.evaluation.scorecard import ScorecardConfig

DAYS = 3


def day_scores(
    predictions: Sequence[Predictions],
    reference: str,
    keys: Sequence[str],
    paired: str,
    config: ScorecardConfig,
) -> dict[tuple[str, int], dict[str, Interval]]:
    """Scores by system and day 1..3, on identical rows.

    Parameters
    ----------
    keys : score keys as on a scorecard. paired : the key whose difference to `reference` is given
        too, as `<paired>_minus`; the reference itself has none.
    """
    first = predictions[0]
    blocks = Blocks.of(first.issue_time, first.fold, config.block_days)
    counts = blocks.draw(config.replicates, numpy_stream(config.seed, "bootstrap"))
    how = f"{config.block_days:g}-day block bootstrap, {config.replicates} draws"
    samples = {p.name: sample_scores(p, None, blocks, counts, config.storm) for p in predictions}
    found: dict[tuple[str, int], dict[str, Interval]] = {}
    for name, scores in samples.items():
        for day in range(DAYS):
            wanted = {key: scores[key][day] for key in keys if key in scores}
            if name != reference:
                difference = scores[paired][day] - samples[reference][paired][day]
                wanted[f"{paired}_minus"] = difference
            made = {k: interval(np.asarray(v), config.level, how) for k, v in wanted.items()}
            found[name, day + 1] = {k: v for k, v in made.items() if v is not None}
    return found

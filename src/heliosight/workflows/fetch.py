"""`heliosight data fetch`: says what it will ask the archives for, and does it."""

from __future__ import annotations

import sys
import time

from heliosight.core.records_fetch import FetchRun
from heliosight.data.fetch import plan_lines, run_fetch
from heliosight.data.net.download import summary
from heliosight.workflows.run import Run, StageResult


def fetch(run: Run) -> StageResult:
    """Fetch the config's sources into its folder; with `--dry-run` only say what would be asked.

    A file that failed is a fault; a file that is not published is a stated gap.
    """
    config = run.config.fetch
    plan = plan_lines(config, int(time.time()))
    if "--dry-run" in run.flags:
        return StageResult(None, plan)
    sys.stderr.write("".join(f"{line}\n" for line in plan))
    outcome = run_fetch(config, run.force)
    record = FetchRun(
        run.provenance(run.key("fetch", config), {}),
        config.folder,
        config.sources,
        tuple(entry.path for entry in outcome.fetched),
        sum(entry.bytes for entry in outcome.fetched),
        len(outcome.kept),
        dict(outcome.gaps),
        {path: str(error) for path, error in outcome.failed.items()},
        tuple(outcome.notes),
    )
    return StageResult(record, summary(outcome), bool(outcome.failed))

"""From findings to remedies, and from trials to a verdict."""

from heliosight.remedy.catalogue import CATALOGUE, REPAIRS, named
from heliosight.remedy.grade import (
    ForecastEvidence,
    SaliencyEvidence,
    TemporalEvidence,
    grade_forecast,
    grade_saliency,
    grade_temporal,
)
from heliosight.remedy.judge import Arm, Fault, faults_of, judge, lost_branches, unanswered
from heliosight.remedy.ledger import ledger
from heliosight.remedy.patch import apply, changes
from heliosight.remedy.plan import COSTS, Step, advice, plan, random_step, symptoms
from heliosight.remedy.prescribed import prescribed

__all__ = [
    "CATALOGUE",
    "COSTS",
    "REPAIRS",
    "Arm",
    "Fault",
    "ForecastEvidence",
    "SaliencyEvidence",
    "Step",
    "TemporalEvidence",
    "advice",
    "apply",
    "changes",
    "faults_of",
    "grade_forecast",
    "grade_saliency",
    "grade_temporal",
    "judge",
    "ledger",
    "lost_branches",
    "named",
    "plan",
    "prescribed",
    "random_step",
    "symptoms",
    "unanswered",
]

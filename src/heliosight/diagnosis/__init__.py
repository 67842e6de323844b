"""Does a model really use its inputs and its time axis? Checks, their statistics, the verdict."""

from heliosight.diagnosis.config import DiagnosisConfig
from heliosight.diagnosis.diagnose import CHECKS, diagnose
from heliosight.diagnosis.explainers import Explainer
from heliosight.diagnosis.verdict import (
    CONVLSTM_CHECKS,
    EXPLAINER_CHECKS,
    FUSION_CHECKS,
    TRAINING_CHECKS,
    USAGE_CHECKS,
    lines,
    text,
    verdict,
)

__all__ = [
    "CHECKS",
    "CONVLSTM_CHECKS",
    "EXPLAINER_CHECKS",
    "FUSION_CHECKS",
    "TRAINING_CHECKS",
    "USAGE_CHECKS",
    "DiagnosisConfig",
    "Explainer",
    "diagnose",
    "lines",
    "text",
    "verdict",
]

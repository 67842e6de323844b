"""Attributions of any subject, in the target's unit, each with its self-checks."""

from heliosight.explain.explainer import ExplanationSet, explain
from heliosight.explain.question import ExplainConfig

__all__ = ["ExplainConfig", "ExplanationSet", "explain"]

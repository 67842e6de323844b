"""Figures and the HTML report. Computes nothing."""

from heliosight.report.inputs import ForecastExample, ReportInputs
from heliosight.report.page import render, write_report

__all__ = ["ForecastExample", "ReportInputs", "render", "write_report"]

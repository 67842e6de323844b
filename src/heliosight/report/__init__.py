"""Figures and the HTML report. Computes nothing."""

from heliosight.report.figures import save_paper_figures
from heliosight.report.improve_page import write_improvement
from heliosight.report.inputs import ForecastExample, ReportInputs
from heliosight.report.page import render, write_report

__all__ = [
    "ForecastExample",
    "ReportInputs",
    "render",
    "save_paper_figures",
    "write_improvement",
    "write_report",
]

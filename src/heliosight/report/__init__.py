"""Figures and the HTML report. Computes nothing."""

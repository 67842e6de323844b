"""Checks, their statistics, the verdict."""

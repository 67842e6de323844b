"""Errors that state the rule, what came, and what to do."""

from __future__ import annotations


class HeliosightError(Exception):
    """A mistake that a user can mend.

    Parameters
    ----------
    rule : the invariant that was broken, as a statement.
    came : what was found instead.
    do : what the user can do about it.
    where : file, record or config path, if there is one.
    """

    def __init__(self, rule: str, came: str = "", do: str = "", where: str = "") -> None:
        self.rule, self.came, self.do, self.where = rule, came, do, where
        place = f"{where}: " if where else ""
        found = f" Found: {came}." if came else ""
        mend = f" {do}" if do else ""
        super().__init__(f"{place}{rule}.{found}{mend}")


class ConfigError(HeliosightError):
    """A config key is unknown, missing or outside its range."""


class DataError(HeliosightError):
    """A file or array does not hold what it should."""


class SpecError(HeliosightError):
    """Two specifications, or a batch and a specification, disagree."""


class RecordError(HeliosightError):
    """A record on disk is incomplete, altered or of another version."""


class SubjectError(HeliosightError):
    """The model under examination does not behave as it was declared."""


class NotApplicable(HeliosightError):
    """A check cannot be run on this subject; other checks still can."""


class TrainingStopped(HeliosightError):
    """Training cannot go on; the last good checkpoint is intact."""

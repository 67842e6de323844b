"""Why a mutant that lives may live: it does the same, or no user could tell the difference."""

# File, function, change: the answer.
ANSWERS: dict[tuple[str, str, str], str] = {
    ("diagnosis/shifts.py", "shifts", "place + k -> place - k"): "the same pairs of times, and "
    "what is forbidden does not depend on the sign of a difference",
    ("diagnosis/sums.py", "Columns.split", "True -> False"): "as many parts are cut as there are "
    "names, so strict never speaks",
    ("data/windows.py", "Windows.issue_times", "min_observed > 0 -> min_observed >= 0"): "every "
    "observed share is at least 0",
}

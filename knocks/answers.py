"""Why a mutant that lives may live: it does the same, or no user could tell the difference."""

# File, function, change: the answer.
ANSWERS: dict[tuple[str, str, str], str] = {
    ("diagnosis/shifts.py", "shifts", "place + k -> place - k"): "the same pairs of times, and "
    "what is forbidden does not depend on the sign of a difference",
    (
        "data/splits.py",
        "leaky_random_split",
        "numpy_stream(seed, 'leaky_random_split').random(len(issue_times)) < test_share -> "
        "numpy_stream(seed, 'leaky_random_split').random(len(issue_times)) <= test_share",
    ): "a random number equals the share with probability 0",
    ("diagnosis/sums.py", "Columns.split", "True -> False"): "as many parts are cut as there are "
    "names, so strict never speaks",
    ("data/windows.py", "Windows.issue_times", "min_observed > 0 -> min_observed >= 0"): "every "
    "observed share is at least 0",
}

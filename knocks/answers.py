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
    (
        "data/windows.py",
        "Windows.issue_times",
        "share >= min_observed - 1e-09 -> share > min_observed - 1e-09",
    ): "a share of places is no round number less 1e-9",
    ("data/windows.py", "Windows._issue", "1 -> 2"): "numpy takes any length below 0 for the one "
    "that follows from the others",
    ("diagnosis/blocks.py", "effective_size", "3 -> 4"): "three values less their mean sum to 0, "
    "so their lag-one correlation is below 0 and counts as 0: three, as without one",
    ("diagnosis/blocks.py", "effective_size", "len(values) < 3 -> len(values) <= 3"): "as above",
    (
        "evaluation/metrics.py",
        "_variance",
        "variance > 1e-10 * np.maximum(ss / n, 1e-300) -> "
        "variance >= 1e-10 * np.maximum(ss / n, 1e-300)",
    ): "a variance of rounding is no exact multiple of the mean square",
    ("evaluation/bootstrap.py", "Blocks.resample", "1 -> 2"): "numpy takes any length below 0 for "
    "the one that follows from the others",
    (
        "diagnosis/blocks.py",
        "Estimate._t",
        "np.inf * np.sign(distance) -> np.inf / np.sign(distance)",
    ): "the sign is 1 or -1 there",
    ("evaluation/metrics.py", "crps", "True -> False"): "there is a weight for each level, so "
    "strict never speaks",
    ("data/windows.py", "Windows.issue_times", "min_observed > 0 -> min_observed >= 0"): "every "
    "observed share is at least 0",
    (
        "diagnosis/family.py",
        "controlled",
        "1.0 -> 2.0",
    ): "either is above every level, and only its place behind all faults counts",
    ("diagnosis/family.py", "controlled", "True -> False"): "there is an answer for each p, so "
    "strict never speaks",
}

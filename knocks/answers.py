"""Why a mutant that lives may live: it does the same, or no user could tell the difference."""

# File, function, change: the answer.
ANSWERS: dict[tuple[str, str, str], str] = {}

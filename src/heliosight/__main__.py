"""`python -m heliosight` is the same as `heliosight`."""

import sys
import traceback

from heliosight.cli import main

CRASH = 70  # EX_SOFTWARE of sysexits.h; 1 says that a check found a fault


def program() -> int:
    """The command; a fault of our own has an exit code of its own."""
    try:
        return main()
    except Exception:  # noqa: BLE001
        traceback.print_exc()
        sys.stderr.write("This is a fault of heliosight, not of your model: please report it.\n")
        return CRASH


if __name__ == "__main__":
    sys.exit(program())

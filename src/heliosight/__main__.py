"""`python -m heliosight` is the same as `heliosight`."""

import sys

from heliosight.cli import main

if __name__ == "__main__":
    sys.exit(main())

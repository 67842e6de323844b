"""How much does each branch contribute, and does the gate depend on its input?

The same as `heliosight diagnose fusion`.
"""

import sys

from heliosight.cli import main

if __name__ == "__main__":
    sys.exit(main(["diagnose", "fusion", *sys.argv[1:]]))

"""Does the forecast use each modality, and do the data hold it at all?

The same as `heliosight diagnose usage`.
"""

import sys

from heliosight.cli import main

if __name__ == "__main__":
    sys.exit(main(["diagnose", "usage", *sys.argv[1:]]))

"""Does the forecast use each modality, and do the data hold it at all?"""

import sys

from heliosight.workflows.scripts import main

if __name__ == "__main__":
    sys.exit(main("usage"))

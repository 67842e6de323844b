"""How large is each branch at fusion, and does the gate depend on its input?"""

import sys

from heliosight.workflows.scripts import main

if __name__ == "__main__":
    sys.exit(main("fusion"))

"""Is the hidden state carried, does every frame matter, does gradient flow back?"""

import sys

from heliosight.workflows.scripts import main

if __name__ == "__main__":
    sys.exit(main("convlstm"))

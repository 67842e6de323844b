"""Is the hidden state carried, does every frame matter, does gradient flow back?

The same as `heliosight diagnose convlstm`.
"""

import sys

from heliosight.cli import main

if __name__ == "__main__":
    sys.exit(main(["diagnose", "convlstm", *sys.argv[1:]]))

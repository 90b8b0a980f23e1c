"""`python -m fullint` is the command `fullint`."""

from __future__ import annotations

import sys

from fullint.cli import main

if __name__ == "__main__":
    sys.exit(main())

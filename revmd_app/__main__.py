"""`python -m revmd_app` is the `revmd` command."""

import sys

from revmd_app.cli import main

if __name__ == "__main__":
    sys.exit(main())

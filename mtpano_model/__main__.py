"""`python -m mtpano_model` is `mtpano`."""

import sys

from mtpano_model.commands import main

if __name__ == "__main__":
    sys.exit(main())

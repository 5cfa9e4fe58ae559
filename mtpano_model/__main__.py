"""`python -m mtpano_model COMMAND` is `mtpano COMMAND`."""

import sys

from mtpano_model.commands import main

sys.exit(main())

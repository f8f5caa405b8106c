"""`python -m phasejax` is `phasejax`."""

import sys

from .cli import main

sys.exit(main())

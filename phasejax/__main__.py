"""`phasejax`, or `python -m phasejax`."""

import sys

from ._interrupt import LINE, ignore, listen


def main() -> int:
    """Run the command line; an interrupt prints one line, even while modules are being imported."""
    listen()
    try:
        from .cli import main

        code = main()
        ignore()
    except KeyboardInterrupt:
        print(LINE, file=sys.stderr)
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())

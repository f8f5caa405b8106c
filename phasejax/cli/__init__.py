"""The command line: `phasejax sweep | zoom | border | classify | plot | view | info`.

Every command does what a few lines of Python do. What is only here: flags and their texts, output
files, errors as one line, and exit codes: 0 (done), 1 (the run failed) and 2 (bad usage, or an
error in a user's own file).

- `program`: the commands together, `main`, errors and exit codes.
- `sweep`, `label`, `look`: one function per command.
- `options`: options that several commands share.
- `values`, `lookup`, `stores`: what a text stands for: a value, a problem or an optimizer, a
    store.
- `logs`: what is printed of training logs.
- `parser`: what is added to typer.

Importing it does not import JAX, so that `phasejax --help` is fast.
"""

from .program import app as app
from .program import main as main

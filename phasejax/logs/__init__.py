"""Training logs: files that other programs wrote, read as loss curves.

    file -> Source -> a format's reader -> Content -> Log -> curves [steps]

- `read`: `read_log` and `classify_log`.
- `log`: `Log`, what was found in a file.
- `source`: the file: compression, encoding, and the part by which its format is recognized.
- `formats`: the table of formats. A new format is one line there.
- `arrays`, `events`, `jsons`, `composer`, `lines`, `tables`: the readers.
- `content`: what a reader returns: columns of numbers.
- `names`: which column is the training loss, which may be the step.
- `steps`: the step of each loss; repeated steps and restarts.
"""

from .log import Log as Log
from .read import classify_log as classify_log
from .read import read_log as read_log

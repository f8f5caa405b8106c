"""A sweep as an interactive HTML page: one file that loads nothing else."""

from .._check import MissingExtra

try:
    from .write import write_page as write_page
except ModuleNotFoundError as error:
    raise MissingExtra("the page", "page") from error

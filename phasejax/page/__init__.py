"""A sweep as an interactive HTML page: one file that loads nothing else."""

from .write import write_page as write_page

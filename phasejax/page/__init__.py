"""A sweep as a page to look around in: one file that needs nothing else."""

from .write import write_page as write_page

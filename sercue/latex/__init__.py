"""Tables for a paper: LaTeX that needs booktabs alone and fits the page."""

from sercue.latex.table import WIDE_PAGE, write_table
from sercue.latex.text import latex_text

__all__ = ["WIDE_PAGE", "latex_text", "write_table"]

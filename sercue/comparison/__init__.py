"""Finished studies side by side: models, corpora and conditions in one table and one page."""

from sercue.comparison.page import write_comparison
from sercue.comparison.studies import compare_studies

__all__ = ["compare_studies", "write_comparison"]

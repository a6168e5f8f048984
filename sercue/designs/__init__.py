"""How to bin: what each way of making tokens of the features keeps, balances and repeats."""

from sercue.designs.comparison import compare_binnings, measure_binning
from sercue.designs.stability import threshold_stability
from sercue.designs.table import readable_designs
from sercue.designs.token_information import token_balance, token_information

__all__ = [
    "compare_binnings",
    "measure_binning",
    "readable_designs",
    "threshold_stability",
    "token_balance",
    "token_information",
]

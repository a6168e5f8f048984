"""More than one machine: work spread over the workers of a ``dask.distributed`` scheduler."""

from sercue.distributed.connection import connect
from sercue.distributed.spreading import Call, spread

__all__ = ["Call", "connect", "spread"]

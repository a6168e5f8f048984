"""More than one machine: work spread over the workers of a ``dask.distributed`` scheduler."""

from sercue.distributed.connection import Call, connect, spread

__all__ = ["Call", "connect", "spread"]

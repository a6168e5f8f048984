"""More than one machine: work spread over the workers of a ``dask.distributed`` scheduler."""

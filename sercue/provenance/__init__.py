"""What it takes to repeat a run, and what of it may be told: ``provenance.json``."""

from sercue.provenance.machine import environment, torch_facts
from sercue.provenance.record import invocation, read, record, utc_now
from sercue.provenance.shareable import (
    public_address,
    shareable,
    shareable_command,
    without_places,
)

__all__ = [
    "environment", "invocation", "public_address", "read", "record", "shareable",
    "shareable_command", "torch_facts", "utc_now", "without_places",
]  # fmt: skip

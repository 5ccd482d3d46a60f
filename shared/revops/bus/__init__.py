"""What this product does when an event arrives on the bus."""

from revops.bus.consume import ConsumeEvent

__all__ = ["ConsumeEvent"]

"""Where bodies too large for an item are kept."""

from typing import Protocol


class BlobStore(Protocol):
    """Keeps bytes under a name."""

    def put(self, name: str, content: bytes, content_type: str) -> None: ...

    def get(self, name: str) -> bytes: ...

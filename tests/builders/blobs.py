"""Blobs kept in memory."""

from revops.kernel import NotFound


class MemoryBlobs:
    """`BlobStore` in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, name: str, content: bytes, content_type: str) -> None:
        self.kept[name] = content

    def get(self, name: str) -> bytes:
        if name not in self.kept:
            raise NotFound("stored object", name)
        return self.kept[name]

"""S3: what is too large for an item, and signed documents."""

from typing import Any

from revops.adapters.aws import AwsError, error_code, unavailable
from revops.kernel import NotFound


class S3Blobs:
    """`BlobStore` in one bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, name: str, content: bytes, content_type: str) -> None:
        try:
            self._client.put_object(Bucket=self._bucket, Key=name, Body=content, ContentType=content_type)
        except AwsError as error:
            raise unavailable("the blob store", error) from error

    def get(self, name: str) -> bytes:
        try:
            content: bytes = self._client.get_object(Bucket=self._bucket, Key=name)["Body"].read()
        except AwsError as error:
            if error_code(error) in {"NoSuchKey", "404"}:
                raise NotFound("stored object", name) from error
            raise unavailable("the blob store", error) from error
        return content

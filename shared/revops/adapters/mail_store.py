"""S3: mail that SES received."""

from typing import Any

from revops.adapters.aws import AwsError, error_code, unavailable
from revops.kernel import NotFound


class S3MailStore:
    """`MailStore` over the buckets that notices name; which of them may be read is this function's role's to say."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def head(self, bucket: str, key: str, limit: int) -> bytes:
        """The first bytes of a mail. Raises NotFound, Unavailable."""
        try:
            content: bytes = self._client.get_object(Bucket=bucket, Key=key)["Body"].read(limit)
        except AwsError as error:
            if error_code(error) in {"NoSuchKey", "404"}:
                raise NotFound("received mail", key) from error
            raise unavailable("the mail bucket", error) from error
        return content

"""S3 and SQS for imports: uploads by form, results by address, parts of a file one at a time."""

import json
from collections.abc import Iterator
from typing import Any, BinaryIO
from urllib.parse import quote

from revops.adapters.aws import AwsError, error_code, unavailable
from revops.channels.imports.ports import UploadForm
from revops.kernel import NotFound

_PART = 1 << 18


class S3ImportFiles:
    """`Files` in one bucket. Forms and addresses are signed with the caller's own role and end with its session."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def upload_form(self, name: str, content_type: str, max_bytes: int, seconds: int) -> UploadForm:
        """A POST policy: S3 itself refuses another name, another type, more bytes and a late upload."""
        made = self._client.generate_presigned_post(
            self._bucket,
            name,
            Fields={"Content-Type": content_type},
            Conditions=[{"Content-Type": content_type}, ["content-length-range", 1, max_bytes]],
            ExpiresIn=seconds,
        )
        return UploadForm(made["url"], made["fields"])

    def read(self, name: str) -> Iterator[bytes]:
        try:
            body = self._client.get_object(Bucket=self._bucket, Key=name)["Body"]
            yield from body.iter_chunks(_PART)
        except AwsError as error:
            if error_code(error) in {"NoSuchKey", "404"}:
                raise NotFound("uploaded file", name) from error
            raise unavailable("the file store", error) from error

    def write(self, name: str, content: BinaryIO, content_type: str) -> None:
        try:
            self._client.put_object(Bucket=self._bucket, Key=name, Body=content, ContentType=content_type)
        except AwsError as error:
            raise unavailable("the file store", error) from error

    def download_url(self, name: str, file_name: str, content_type: str, seconds: int) -> str:
        return str(
            self._client.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self._bucket,
                    "Key": name,
                    "ResponseContentType": content_type,
                    "ResponseContentDisposition": f"attachment; filename*=UTF-8''{quote(file_name)}",
                },
                ExpiresIn=seconds,
            )
        )


class SqsImportQueue:
    """`ImportQueue` on SQS."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, import_id: str) -> None:
        try:
            self._client.send_message(QueueUrl=self._url, MessageBody=json.dumps({"import_id": import_id}))
        except AwsError as error:
            raise unavailable("SQS", error) from error

"""Signing with a key that never leaves AWS KMS."""

from typing import Any

from revops.adapters.aws import AwsError, unavailable


class KmsSigner:
    """RSA signatures (PKCS #1 v1.5 over SHA-256, what JWTs call RS256) by one asymmetric key."""

    def __init__(self, client: Any, key_id: str) -> None:
        self._client = client
        self._key_id = key_id

    def __call__(self, message: bytes) -> bytes:
        """The signature of at most 4,096 bytes. Raises Unavailable."""
        try:
            answer = self._client.sign(
                KeyId=self._key_id,
                Message=message,
                MessageType="RAW",
                SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256",
            )
        except AwsError as error:
            raise unavailable("the signing key", error) from error
        signature: bytes = answer["Signature"]
        return signature

"""What tests of the signature vendors share: an integration's key, its assertions, a PDF to be signed."""

import base64
import functools
import json
import time
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from local.simulators.common.pdf import text_pdf
from tests.builders.loopback import Receiver

ANCHOR = "/signature_1/"
ORDER_FORM = text_pdf(["Order form", "Legal entity: Example GmbH", f"Signed: {ANCHOR}"])


@functools.cache
def key() -> RSAPrivateKey:
    """The integration's private key, made for this run."""
    return generate_private_key(65537, 2048)


def public_pem(private: RSAPrivateKey) -> str:
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def assertion(claims: dict[str, Any], private: RSAPrivateKey, algorithm: str = "RS256") -> str:
    """A signed JWT with these claims."""
    signed = ".".join(_part(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": algorithm}, claims))
    return f"{signed}.{_part(private.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def _part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def heard(receiver: Receiver, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """The JSON bodies that were posted, once they are enough."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        messages = [json.loads(request.body) for request in list(receiver.requests) if request.method == "POST"]
        if enough(messages):
            return messages
        time.sleep(0.02)
    raise AssertionError(f"not enough: {[message.get('event') for message in messages]}")

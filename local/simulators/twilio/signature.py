"""X-Twilio-Signature: HMAC-SHA1 over the address and the form's fields, sorted, names and values run together."""

import base64
import hashlib
import hmac
from collections.abc import Mapping


def signature(token: str, url: str, fields: Mapping[str, str]) -> str:
    """The signature of a request."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()

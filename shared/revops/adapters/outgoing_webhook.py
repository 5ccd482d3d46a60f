"""Posting to an address that an administrator wrote down, so that it can reach nothing inside (S10).

https only. The host is resolved once, every address it has must be public, and the connection goes to the address
that was looked at: a name that answers otherwise a moment later leads nowhere. Redirects are not followed. On the
local stack alone, where `loopback` says so, http to the machine itself is taken.

A receiver checks `x-revops-signature` (`v1=<hex>`, several while a key is being changed): HMAC-SHA256 with the shared
key over `<x-revops-timestamp>.<body>`, the timestamp in seconds. `x-revops-event-id` repeats when a message does.
"""

import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
from collections.abc import Callable, Sequence
from urllib.parse import SplitResult, urlsplit

from revops.kernel import Clock, Invalid, Unavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_TIMEOUT = 5.0
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet. An IPv4 address inside an IPv6 one (mapped, 6to4, NAT64) is taken
    out and judged itself; Teredo and the long-dead compatible form are refused."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None or address in _COMPATIBLE or address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def signature(key: str, timestamp: str, body: bytes) -> str:
    """What a receiver computes as well."""
    return hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class OutgoingWebhook:
    """Posts one signed body. `keys` are the shared keys, the newest first."""

    def __init__(
        self,
        keys: Callable[[], Sequence[str]],
        clock: Clock,
        *,
        loopback: bool = False,
        resolve: Callable[[str, int], Sequence[str]] | None = None,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._loopback = loopback
        self._resolve = resolve or _resolve

    def __call__(self, url: str, event_id: str, body: bytes) -> None:
        """Raises Invalid for an address that must not be posted to, Unavailable when the receiver did not take it."""
        parts = urlsplit(url)
        connection = self._connection(parts)
        timestamp = str(int(self._clock.now().timestamp()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "revops-webhook",
            "x-revops-event-id": event_id,
            "x-revops-timestamp": timestamp,
            "x-revops-signature": ",".join(f"v1={signature(key, timestamp, body)}" for key in self._keys()),
        }
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request("POST", target, body, headers)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable("the webhook's receiver did not answer") from error
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise Unavailable(f"the webhook's receiver answered {answer.status}")

    def _connection(self, parts: SplitResult) -> http.client.HTTPConnection:
        host, secure = parts.hostname or "", parts.scheme == "https"
        try:
            port = parts.port or (443 if secure else 80)
        except ValueError as error:
            raise _refused("names no port") from error
        if not host or parts.username is not None or parts.scheme not in ("https", "http"):
            raise _refused("is not an https address without user and password")
        addresses = [ipaddress.ip_address(each.partition("%")[0]) for each in self._resolve(host, port)]
        if not addresses:
            raise Unavailable("the webhook's host has no address")
        inside = self._loopback and all(address.is_loopback for address in addresses)
        if not inside and (not secure or not all(is_public(address) for address in addresses)):
            raise _refused("is not https to the open internet")
        return _Pinned(host, str(addresses[0]), port, secure=secure)


class _Pinned(http.client.HTTPConnection):
    """A connection to one address, under the name it was looked up by."""

    def __init__(self, host: str, address: str, port: int, *, secure: bool) -> None:
        super().__init__(host, port, timeout=_TIMEOUT)
        self._address = address
        self._secure = secure

    def connect(self) -> None:
        """Connects to the address, and to nothing that the name may mean by now."""
        plain = socket.create_connection((self._address, self.port), _TIMEOUT)
        self.sock = (
            ssl.create_default_context().wrap_socket(plain, server_hostname=self.host) if self._secure else plain
        )


def _resolve(host: str, port: int) -> Sequence[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable("the webhook's host could not be resolved") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _refused(why: str) -> Invalid:
    return Invalid.field("webhook_url", "public-https", why, "an https address of the open internet")

"""Reads the mail the emulator's SES has sent."""

import httpx

from local.simulators.mail.mailbox import Mailbox

PATH = "/_ministack/ses/messages"


class Collector:
    """Fetches all the emulator remembers and keeps what is new. `state` says how the last time went."""

    def __init__(self, emulator_url: str, mailbox: Mailbox) -> None:
        self._url = emulator_url.rstrip("/") + PATH
        self._mailbox = mailbox
        self._client = httpx.AsyncClient(timeout=5, trust_env=False)
        self.state = "not asked yet"

    async def collect(self) -> None:
        """Fetch once; an emulator that does not answer is noted, never an error."""
        try:
            answer = await self._client.get(self._url)
            answer.raise_for_status()
            accounts = answer.json()["messages"]
            for account, sent in accounts.items():
                self._mailbox.take(account, sent)
            self.state = "reachable"
        except httpx.HTTPStatusError as error:
            self.state = f"answers {error.response.status_code}"
        except httpx.HTTPError as error:
            self.state = f"unreachable: {type(error).__name__}"
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            self.state = f"answers something else: {type(error).__name__}"

    async def close(self) -> None:
        """Let go of the connection."""
        await self._client.aclose()

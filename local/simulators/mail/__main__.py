"""`python -m local.simulators.mail`: serve the mail view on loopback."""

import argparse
from pathlib import Path

import uvicorn

from local.simulators.common import Store
from local.simulators.mail.server import MailView


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(
        description="What was sent through the emulator's SES, as a page and as JSON.",
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="folder that keeps the state")
    parser.add_argument("--emulator-url", required=True, help="where the AWS emulator answers")
    arguments = parser.parse_args()
    view = MailView(Store(arguments.state), arguments.emulator_url)
    settings = uvicorn.Config(
        view.application(),
        host="127.0.0.1",
        port=arguments.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=3,
    )
    uvicorn.Server(settings).run()


if __name__ == "__main__":
    main()

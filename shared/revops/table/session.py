"""The botocore session of the process."""

from functools import cache

import botocore.session


@cache
def botocore_session() -> botocore.session.Session:
    """One for every client: a session of its own reads the endpoint data again, which is a tenth of a cold start."""
    return botocore.session.get_session()

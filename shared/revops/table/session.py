"""The botocore session of the process."""

from functools import cache

import botocore.session


@cache
def botocore_session() -> botocore.session.Session:
    """One for every client: each further session reads the endpoint data and registers its handlers again."""
    return botocore.session.get_session()

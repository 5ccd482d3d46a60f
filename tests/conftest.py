"""Shared fixtures. Every random choice of a test comes from a printed seed.

No test fails because the machine is busy: generated cases have no deadline of their own, only the suite's time-out.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("suite")

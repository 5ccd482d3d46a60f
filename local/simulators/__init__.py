"""Vendor simulators: small, stateful, real HTTP servers on loopback that stand in for the vendors' APIs."""

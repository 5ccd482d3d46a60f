"""Order forms: handed in, reviewed, signed, provisioned exactly once, activated."""

"""The CRM's decisions as pure functions over data."""

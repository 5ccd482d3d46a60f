"""Reconciling order forms with the provider, and adopting its customers."""

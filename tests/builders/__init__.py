"""Test data and fakes of our own ports."""

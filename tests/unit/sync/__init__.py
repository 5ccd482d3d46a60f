"""Tests of syncing with HubSpot."""

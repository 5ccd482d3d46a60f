"""Leads, accounts, contacts, opportunities, notes: the people and companies a seller works with."""

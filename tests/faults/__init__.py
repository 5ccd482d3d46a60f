"""The fault bench: one seed is one world and one schedule of everything that can go wrong (docs: world.py)."""

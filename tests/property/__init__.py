"""Properties that hold for thousands of seeds."""

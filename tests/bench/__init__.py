"""The budgets of the design as measurements: each a ratio or a count, taken side by side in one run (`make bench`)."""

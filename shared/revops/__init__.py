"""revops: lead-to-cash domain package. Slices own the rules; adapters and the table own the wires."""

import gc
import os

# What is imported stays. Python's own threshold walks over all of it again and again while modules load, which is a
# tenth of a cold start; a request makes some thousand objects, so the collector still comes by (docs/benchmarks.md).
gc.set_threshold(20_000, 20, 20)

# No package may hook itself into our validation; looking for one reads every package's metadata at each cold start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

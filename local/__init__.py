"""What runs on one's own machine: the emulated stack, the simulated vendors, the demo data and story."""

import sys
from pathlib import Path

# The domain package is a Lambda layer and never installed; here it is found where it is written.
_SHARED = str(Path(__file__).resolve().parents[1] / "shared")
if _SHARED not in sys.path:
    sys.path.insert(1, _SHARED)

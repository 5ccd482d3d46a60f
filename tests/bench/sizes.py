"""How large what is deployed is, unzipped."""

from pathlib import Path

from tests.bench.layers import ROOT, Layers
from tests.bench.measure import Row


def rows(layers: Layers) -> list[Row]:
    """Bytes of every file of both layers and of the largest function, as Lambda counts them (MB = 10⁶ bytes; the
    budget is the design's, Lambda's own limit is 250 MB). Built for this machine's processor; the arm64 wheels are
    within a few percent of it."""
    third_party, domain = _size(layers.dependencies), _size(layers.domain)
    function = max(_size(folder) for folder in (ROOT / "functions").iterdir() if (folder / "app.py").exists())
    total = third_party + domain + function
    details = {
        "dependencies MB": round(third_party, 1),
        "domain MB": round(domain, 1),
        "function MB": round(function, 3),
    }
    return [Row("layers and function unzipped", total, "MB", 50, details=dict(details))]


def _size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6

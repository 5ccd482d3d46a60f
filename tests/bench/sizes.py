"""How large what is deployed is, unzipped."""

from pathlib import Path

from local.stack import build
from tests.bench.layers import ROOT, Layers
from tests.bench.measure import Row


def rows(layers: Layers) -> list[Row]:
    """Bytes of every file of both layers and of the largest function, as Lambda counts them (MB = 10⁶ bytes; the
    budget is the design's, Lambda's own limit is 250 MB). Built for this machine's processor; the arm64 wheels are
    within a few percent of it. The trainer has a layer more; its layers are those for Lambda on arm64."""
    third_party, domain = _size(layers.dependencies), _size(layers.domain)
    function = max(_size(folder) for folder in (ROOT / "functions").iterdir() if (folder / "app.py").exists())
    total = third_party + domain + function
    details = {
        "dependencies MB": round(third_party, 1),
        "domain MB": round(domain, 1),
        "function MB": round(function, 3),
    }
    return [Row("layers and function unzipped", total, "MB", 50, details=dict(details)), _trainer(domain)]


def _trainer(domain: float) -> Row:
    learning, others = (_size(build.third_party(name, "arm64")) for name in ("training", "dependencies"))
    own = _size(ROOT / "functions" / "train_scoring")
    details: dict[str, float | str] = {"scikit-learn and what it needs MB": round(learning, 1)}
    return Row(
        "layers and function of the trainer, unzipped", learning + others + domain + own, "MB", 250, details=details
    )


def _size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6

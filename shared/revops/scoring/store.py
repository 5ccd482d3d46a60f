"""Where scoring keeps what it knows of itself.

| item | pk | sk | read by |
|---|---|---|---|
| newest training | TRAINING#<what> | RUN | what was trained: `leads` |
| model in force | SETTINGS#scoring_model | CURRENT | name (`revops.settings`) |

Blobs: `scoring/models/<time>.json`, `scoring/reports/<time>.json` and `.html`.
"""

from revops.scoring.training.model import TrainingRun
from revops.table import EntityKind, Key

LEADS_TRAINING = "leads"
"""The one thing that is trained."""

TRAINING_RUNS = EntityKind[TrainingRun](
    kind="TRAINING_RUN",
    title="training",
    model=TrainingRun,
    key=lambda what: Key(f"TRAINING#{what}", "RUN"),
)

"""Models that a server and we must judge alike: what Triton's configs can say, right and wrong."""

from .batching import BATCHING
from .case import MODEL, Case, Cases
from .completed import COMPLETED
from .ensembles import ENSEMBLES
from .folders import DEADLY_FOLDERS, FOLDERS, VERSIONS
from .instances import DEADLY_WARMUP, INSTANCES, WARMUP
from .platforms import PLATFORMS, STAND_INS
from .sequences import SEQUENCES
from .tensors import TENSORS

__all__ = ["ALONE", "CASES", "DEADLY", "MODEL", "STAND_INS", "TOGETHER", "Case", "Cases"]

TOGETHER: tuple[Cases, ...] = (
    {**TENSORS, **BATCHING},
    {**VERSIONS, **FOLDERS, **INSTANCES},
    ENSEMBLES,
)
"""Each for one start of a server that loads all of them; ensembles stand with their members."""
ALONE: Cases = {**PLATFORMS, **COMPLETED, **SEQUENCES, **WARMUP}
"""What a server may end by, when it loads others meanwhile: models that fail when their instances
run already and, before 24.10, several backends that are a model.py."""
CASES: Cases = {name: case for part in (*TOGETHER, ALONE) for name, case in part.items()}
DEADLY: Cases = {**DEADLY_FOLDERS, **DEADLY_WARMUP}
"""What no server should be asked: it ends, or waits for ever."""

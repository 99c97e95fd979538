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

__all__ = ["CASES", "DEADLY", "LATE", "MODEL", "PARTS", "STAND_INS", "Case", "Cases"]

PARTS: tuple[Cases, ...] = (
    {**TENSORS, **BATCHING},
    {**VERSIONS, **FOLDERS, **INSTANCES},
    PLATFORMS,
    COMPLETED,
    ENSEMBLES,
)
"""Each for one start of a server; ensembles stand with their members."""
LATE: Cases = {**SEQUENCES, **WARMUP}
"""What fails late, when its instances run: a server that loads others meanwhile may end by it."""
CASES: Cases = {name: case for part in (*PARTS, LATE) for name, case in part.items()}
DEADLY: Cases = {**DEADLY_FOLDERS, **DEADLY_WARMUP}
"""What no server should be asked: it ends, or waits for ever."""

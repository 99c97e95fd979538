"""Model files, read lightly: what a model takes and gives, and whose a file is.

Nothing here reads weights, imports a framework or runs a model.
"""

from .detect import Detected, detect
from .read import read_signature
from .signature import FormatError, Signature, TensorInfo

__all__ = ["Detected", "FormatError", "Signature", "TensorInfo", "detect", "read_signature"]

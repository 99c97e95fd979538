"""All that tritonbuild knows of Triton, written on the public rule API.

What is named here are the rules; tools, resolvers, importers and inspectors are in `parts`.
"""

from .base import Bases
from .command import Commands
from .component import Backends, Caches, RepoAgents
from .distribution import Distributions
from .download import Downloads
from .images.rule import Images
from .model import Models
from .repository import Repositories
from .verification import Verifications

__all__ = [
    "Backends",
    "Bases",
    "Caches",
    "Commands",
    "Distributions",
    "Downloads",
    "Images",
    "Models",
    "RepoAgents",
    "Repositories",
    "Verifications",
]

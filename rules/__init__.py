"""All that tritonbuild knows of Triton, written on the public rule API.

What is named here is what the registry finds: rules, tools and resolvers.
"""

from .command import Commands
from .component import Backends, Caches, RepoAgents
from .distribution import Distributions
from .model import Models
from .model_config.folder import make_model
from .python.environment import make_environment
from .python.fetch import fetch_file
from .python.interpreter import make_python
from .python.pypi import resolve, resolve_alone
from .python.wheel import unpack_wheel
from .pytriton import lay_out_pytriton
from .repository import Repositories
from .server.serve import serve
from .verification import Verifications, verify

__all__ = [
    "Backends",
    "Caches",
    "Commands",
    "Distributions",
    "Models",
    "RepoAgents",
    "Repositories",
    "Verifications",
    "fetch_file",
    "lay_out_pytriton",
    "make_environment",
    "make_model",
    "make_python",
    "resolve",
    "resolve_alone",
    "serve",
    "unpack_wheel",
    "verify",
]

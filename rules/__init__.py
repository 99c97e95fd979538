"""All that tritonbuild knows of Triton, written on the public rule API.

What is named here is what the registry finds: rules, tools and resolvers.
"""

from .command import Commands
from .component import Backends, Caches, RepoAgents
from .distribution import Distributions
from .download import Downloads
from .init.importer import bring_over
from .model import Models
from .model_config.folder import make_model
from .model_config.md5 import make_md5
from .origins.extract import unpack_archive
from .origins.fetch import fetch_download, gather_files
from .origins.resolve import resolve as resolve_download
from .python.environment import make_environment
from .python.fetch import fetch_file
from .python.interpreter import make_python
from .python.pypi import resolve, resolve_alone
from .python.wheel import unpack_wheel
from .pytriton import lay_out_pytriton
from .repository import Repositories
from .server.ask import ask
from .server.serve import serve
from .verification import Verifications, verify
from .verify.judge import check_cases
from .verify.warmup import make_warmup

__all__ = [
    "Backends",
    "Caches",
    "Commands",
    "Distributions",
    "Downloads",
    "Models",
    "RepoAgents",
    "Repositories",
    "Verifications",
    "ask",
    "bring_over",
    "check_cases",
    "fetch_download",
    "fetch_file",
    "gather_files",
    "lay_out_pytriton",
    "make_environment",
    "make_md5",
    "make_model",
    "make_python",
    "make_warmup",
    "resolve",
    "resolve_alone",
    "resolve_download",
    "serve",
    "unpack_archive",
    "unpack_wheel",
    "verify",
]

"""A client of registries. https://github.com/opencontainers/distribution-spec"""

from tritonbuild.oci.registry.mirrors import Mirrored
from tritonbuild.oci.registry.push import Pushed, push
from tritonbuild.oci.registry.reference import Reference
from tritonbuild.oci.registry.referrers import referrers
from tritonbuild.oci.registry.repository import Download, Repository
from tritonbuild.oci.registry.session import Registry

__all__ = [
    "Download",
    "Mirrored",
    "Pushed",
    "Reference",
    "Registry",
    "Repository",
    "push",
    "referrers",
]

"""What the registry finds by name beside rules: tools, resolvers, importers and inspectors."""

from .bases.daemon import fetch_from_daemon, resolve_daemon
from .bases.image import make_base
from .bases.index import index_blob
from .bases.layout import make_layout_base
from .bases.registry import fetch_blob, resolve_image
from .bases.scratch import make_scratch
from .composing.check import check_images
from .composing.component import cut_component
from .composing.examine import examine_images
from .composing.needs import find_needs
from .composing.survey import survey_layer
from .debian.image import make_deb_base
from .debian.layer import make_deb_layer
from .debian.resolve import resolve_debian
from .debian.root import make_deb_root
from .debian.state import make_deb_state
from .destinations.publish import publish
from .destinations.registry import push_models
from .images.accounts import make_accounts
from .images.describe import describe
from .images.dockerfile import write_dockerfile
from .images.environments import make_skeleton
from .images.image import make_image
from .images.inspect import inspect
from .images.layers import make_layers
from .images.links import find_links
from .images.modelpack import pack_models
from .images.models import place_environment
from .images.multi import make_index
from .images.options import ask_flags
from .images.serve import serve_image
from .images.shell import make_shell
from .init.importer import bring_over
from .linking.facts import link_image_layers, link_made_layers
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
from .server.ask import ask
from .server.serve import serve
from .verification import run_verification
from .verify.judge import check_cases
from .verify.static import verify_static
from .verify.warmup import make_warmup

__all__ = [
    "ask",
    "ask_flags",
    "bring_over",
    "check_cases",
    "check_images",
    "cut_component",
    "describe",
    "examine_images",
    "fetch_blob",
    "fetch_download",
    "fetch_file",
    "fetch_from_daemon",
    "find_links",
    "find_needs",
    "gather_files",
    "index_blob",
    "inspect",
    "lay_out_pytriton",
    "link_image_layers",
    "link_made_layers",
    "make_accounts",
    "make_base",
    "make_deb_base",
    "make_deb_layer",
    "make_deb_root",
    "make_deb_state",
    "make_environment",
    "make_image",
    "make_index",
    "make_layers",
    "make_layout_base",
    "make_md5",
    "make_model",
    "make_python",
    "make_scratch",
    "make_shell",
    "make_skeleton",
    "make_warmup",
    "pack_models",
    "place_environment",
    "publish",
    "push_models",
    "resolve",
    "resolve_alone",
    "resolve_daemon",
    "resolve_debian",
    "resolve_download",
    "resolve_image",
    "run_verification",
    "serve",
    "serve_image",
    "survey_layer",
    "unpack_archive",
    "unpack_wheel",
    "verify_static",
    "write_dockerfile",
]

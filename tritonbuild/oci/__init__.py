"""Images as the Open Container Initiative specifies them: one noun each for layer, image and index;
many sources that hold them. Rule authors may use what is exported here, and the modules."""

from tritonbuild.oci.compression import Compression
from tritonbuild.oci.content import Content
from tritonbuild.oci.documents import Descriptor, ImageConfig, Index, Manifest, Platform
from tritonbuild.oci.errors import Absent, Invalid, OciError, Passing, Refused, Unreachable
from tritonbuild.oci.image import Image, Layer, image_in
from tritonbuild.oci.listing import Listed, Listing
from tritonbuild.oci.recipe import Recipe
from tritonbuild.oci.root import Clash, Root
from tritonbuild.oci.tar import Member
from tritonbuild.oci.view import View

__all__ = [
    "Absent",
    "Clash",
    "Compression",
    "Content",
    "Descriptor",
    "Image",
    "ImageConfig",
    "Index",
    "Invalid",
    "Layer",
    "Listed",
    "Listing",
    "Manifest",
    "Member",
    "OciError",
    "Passing",
    "Platform",
    "Recipe",
    "Refused",
    "Root",
    "Unreachable",
    "View",
    "image_in",
]

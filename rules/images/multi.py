"""The `image-index` tool: images of several platforms as one."""

from __future__ import annotations

from tritonbuild.oci import Descriptor, Index
from tritonbuild.oci.assemble import MAKERS, Assembly
from tritonbuild.oci.documents import INDEX as MEDIA_TYPE
from tritonbuild.oci.sparse import Sparse
from tritonbuild.rule import ActionError, Folder, Problem, ToolContext, tool

INDEX = "index"


@tool("image-index", version=1, libraries=MAKERS)
def make_index(ctx: ToolContext) -> None:
    """Inputs `images/NNN`, sparse layouts of an image each; output `index`, one of all."""
    folder = ctx.inputs.get("images")
    assert isinstance(folder, Folder)
    assembly = Assembly(ctx, INDEX)
    descriptors: list[Descriptor] = []
    for _, image in sorted(folder.entries.items()):
        assert isinstance(image, Folder)
        descriptor = Sparse(image, ctx).descriptor
        if descriptor.platform is None:
            raise ActionError(Problem("an index in an index", "images", key="images"))
        if descriptor.platform in [known.platform for known in descriptors]:
            found = f"two images for {descriptor.platform}"
            raise ActionError(Problem(found, "one a platform", key="images"))
        assembly.take_all(image)
        descriptors.append(descriptor)
    annotations = ctx.parameters["annotations"] or None
    index = Index(manifests=descriptors, annotations=annotations)
    assembly.finish(assembly.write_blob(MEDIA_TYPE, index.encoded))

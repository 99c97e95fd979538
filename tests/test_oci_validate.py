"""Everything that an image says of itself is recomputed; from a layout and from an archive."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from parts.hostile import END, member
from parts.images import Memory, file, folder, packed

from tritonbuild.digest import Digest
from tritonbuild.oci import Compression, Descriptor
from tritonbuild.oci.archive import Archive
from tritonbuild.oci.documents import CONFIG, INDEX, LAYER, LAYER_GZIP, LAYER_ZSTD, MANIFEST
from tritonbuild.oci.layout import Layout
from tritonbuild.oci.validate import validate

TAR = member("a", b"content" * 100) + END


class Maker:
    """An image, part by part; each part may be made wrong."""

    def __init__(self) -> None:
        self.memory = Memory()

    def named(self, media_type: str, content: bytes, **wrong: Any) -> dict[str, Any]:
        """A descriptor of a content; `wrong` replaces keys of it."""
        made = self.memory.put(media_type, content).model_dump(by_alias=True, exclude_none=True)
        blob = self.memory.blobs.pop(made["digest"])
        made |= wrong
        self.memory.blobs.setdefault(made["digest"], blob)
        return made

    def config(self, *tars: bytes, **wrong: Any) -> dict[str, Any]:
        ids = [f"sha256:{Digest.of_bytes(tar).hash}" for tar in tars]
        config = {"os": "linux", "architecture": "amd64"}
        return {**config, "rootfs": {"type": "layers", "diff_ids": ids}, **wrong}

    def manifest(self, *layers: dict[str, Any], config: Any, **wrong: Any) -> dict[str, Any]:
        if "digest" not in config:
            config = self.named(CONFIG, json.dumps(config).encode())
        return {
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": list(layers),
            **wrong,
        }  # fmt: skip

    def image(self, manifest: Any, media_type: str = MANIFEST, **wrong: Any) -> dict[str, Any]:
        return self.named(media_type, json.dumps(manifest).encode(), **wrong)

    def index(self, *manifests: dict[str, Any], **wrong: Any) -> dict[str, Any]:
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests)}
        return self.image({**document, **wrong}, INDEX)

    def good(self, tar: bytes = TAR, **wrong: Any) -> dict[str, Any]:
        """A whole image."""
        return self.image(self.manifest(self.named(LAYER, tar), config=self.config(tar)), **wrong)

    def of_layer(self, media_type: str, blob: bytes, tar: bytes = TAR, **wrong: Any) -> Any:
        layer = self.named(media_type, blob, **wrong)
        return self.image(self.manifest(layer, config=self.config(tar)))


GZIP, ZSTD = packed(TAR, Compression.GZIP), packed(TAR, Compression.ZSTD)
WRONG = f"sha256:{'0' * 64}"
AMD, ARM = ({"os": "linux", "architecture": name} for name in ("amd64", "arm64"))


def names_itself(make: Maker) -> Any:
    inner = {"mediaType": INDEX, "digest": WRONG, "size": 300}
    return make.image(
        {"schemaVersion": 2, "mediaType": INDEX, "manifests": [inner]}, INDEX, digest=WRONG
    )


def two_that_name_each_other(make: Maker) -> Any:
    one, two = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    for here, there in ((one, two), (two, one)):
        inner = {"mediaType": INDEX, "digest": there, "size": 300}
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [inner]}
        made = make.image(document, INDEX, digest=here)
    return made


def manifest_that_names_itself(make: Maker) -> Any:
    own = {"mediaType": LAYER, "digest": WRONG, "size": 10}
    return make.image(make.manifest(own, config=make.config(TAR)), digest=WRONG)


def deep(make: Maker) -> Any:
    made = make.good()
    for _ in range(6):
        made = make.index(made)
    return made


def many_layers(make: Maker) -> Any:
    tars = [member(f"{number}") + END for number in range(128)]
    layers = [make.named(LAYER, tar) for tar in tars]
    return make.image(make.manifest(*layers, config=make.config(*tars)))


def twice(make: Maker) -> Any:
    layer = make.named(LAYER, TAR)
    return make.image(make.manifest(layer, layer, config=make.config(TAR, TAR)))


def gone(make: Maker) -> Any:
    made = make.good()
    del make.memory.blobs[f"sha256:{Digest.of_bytes(TAR).hash}"]
    return made


def of_config(config: Any, **wrong: Any) -> Callable[[Maker], Any]:
    content = config if isinstance(config, bytes) else json.dumps(config).encode()

    def make(maker: Maker) -> Any:
        named = maker.named(CONFIG, content, **wrong)
        return maker.image(maker.manifest(maker.named(LAYER, TAR), config=named))

    return make


def of_manifest(**wrong: Any) -> Callable[[Maker], Any]:
    return lambda make: make.image(
        make.manifest(make.named(LAYER, TAR), config=make.config(TAR), **wrong)
    )


IMAGES: dict[str, tuple[Callable[[Maker], Any], str]] = {
    # Of documents.
    "manifest of another digest": (lambda m: m.good(digest=WRONG), "content has the digest"),
    "manifest of another size": (lambda m: m.good(size=5), "bytes, not 5"),
    "manifest of an unknown type": (lambda m: m.good(mediaType="text/plain"), "is none of"),
    "manifest that is none": (lambda m: m.image([1]), "manifest: "),
    "manifest that is no JSON": (lambda m: m.named(MANIFEST, b"{"), "manifest: Invalid JSON"),
    "manifest of another schema": (of_manifest(schemaVersion=1), "schemaVersion"),
    "manifest that says another type": (of_manifest(mediaType=INDEX), "it says that it is"),
    "manifest that is an index too": (of_manifest(manifests=[]), "it has manifests too"),
    "manifest without layers": (of_manifest(layers=None), "layers"),
    "manifest of 10 MB": (of_manifest(annotations={"a": "x" * 10_000_000}), "more than 4194304"),
    "manifest that names itself": (manifest_that_names_itself, "it names itself"),
    "manifest nested without end": (
        lambda m: m.named(MANIFEST, b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
        "manifest",
    ),
    "config of another digest": (
        of_config(Maker().config(TAR), digest=WRONG),
        "content has the digest",
    ),
    "config that is no JSON": (of_config(b"nothing"), "config: Invalid JSON"),
    "config without a platform": (of_config({"rootfs": {"diff_ids": []}}), "config: os"),
    "config of another root": (
        of_config(Maker().config(TAR, rootfs={"type": "other", "diff_ids": []})),
        "of the type 'other'",
    ),
    "config for another platform": (lambda m: m.good(platform=ARM), "named as one for linux/arm64"),
    "no diff id for a layer": (of_config(Maker().config()), "it has 0 diff ids for 1 layers"),
    "diff id of another digest": (of_config(Maker().config(b"other")), "its diff id: sha256:"),
    "diff id that is none": (
        of_config(Maker().config(rootfs={"type": "layers", "diff_ids": ["sha256:x"]})),
        "config: rootfs.diff_ids.0",
    ),
    # Of indexes.
    "index that names itself": (names_itself, "it names itself"),
    "indexes that name each other": (two_that_name_each_other, "content has the digest"),
    "indexes too deep": (deep, "more than 4 indexes lie in each other"),
    "index that is a manifest too": (lambda m: m.index(m.good(), layers=[]), "it has layers too"),
    "index of what is not there": (
        lambda m: m.index({"mediaType": MANIFEST, "digest": WRONG, "size": 1}),
        f"{WRONG}: ",
    ),
    "index of a negative size": (
        lambda m: m.index({"mediaType": MANIFEST, "digest": WRONG, "size": -1}),
        "index: manifests.0.size",
    ),
    "index of a path for a digest": (
        lambda m: m.index({"mediaType": MANIFEST, "digest": "sha256:../../x", "size": 1}),
        "index: manifests.0.digest",
    ),
    "index of another algorithm": (
        lambda m: m.index({"mediaType": MANIFEST, "digest": f"md5:{'0' * 32}", "size": 1}),
        "index: manifests.0.digest",
    ),
    # Of layers.
    "layer that is gone": (gone, "layer 0, "),
    "layer of another digest": (
        lambda m: m.of_layer(LAYER, TAR, digest=WRONG),
        "content has the digest",
    ),
    "layer that is shorter": (lambda m: m.of_layer(LAYER, TAR, size=5000), "bytes, not 5000"),
    "layer that is longer": (lambda m: m.of_layer(LAYER, TAR, size=5), "bytes, not 5"),
    "layer that goes on": (
        lambda m: m.of_layer(LAYER, TAR + bytes(5 << 20), size=len(TAR)),
        "it goes on after",
    ),
    "layer of an unknown type": (lambda m: m.of_layer("text/plain", TAR), "a layer of media type"),
    "layer said to be compressed": (lambda m: m.of_layer(LAYER_GZIP, TAR), "is damaged"),
    "layer said to be a tar": (lambda m: m.of_layer(LAYER, GZIP), "the tar is"),
    "gzip said to be zstd": (lambda m: m.of_layer(LAYER_ZSTD, GZIP), "is damaged"),
    "gzip that is cut": (lambda m: m.of_layer(LAYER_GZIP, GZIP[:-9]), "is cut short"),
    "gzip without its sum": (lambda m: m.of_layer(LAYER_GZIP, GZIP[:-4]), "is cut short"),
    "gzip of another sum": (
        lambda m: m.of_layer(LAYER_GZIP, GZIP[:-8] + b"\0" * 8),
        "is damaged",
    ),
    "gzip that goes on": (lambda m: m.of_layer(LAYER_GZIP, GZIP + b"more"), "goes on after"),
    "gzip with padding": (lambda m: m.of_layer(LAYER_GZIP, GZIP + bytes(512)), "goes on after"),
    "zstd that is cut": (lambda m: m.of_layer(LAYER_ZSTD, ZSTD[:-1]), "is cut short"),
    "zstd cut in its middle": (lambda m: m.of_layer(LAYER_ZSTD, ZSTD[:50]), "is cut short"),
    "zstd that goes on": (lambda m: m.of_layer(LAYER_ZSTD, ZSTD + b"more"), "goes on after"),
    "nothing said to be zstd": (lambda m: m.of_layer(LAYER_ZSTD, b"", b""), "is cut short"),
    "nothing said to be gzip": (lambda m: m.of_layer(LAYER_GZIP, b"", b""), "is cut short"),
    "two tars in two gzips": (
        lambda m: m.of_layer(LAYER_GZIP, GZIP + GZIP, TAR + TAR),
        "goes on after its end",
    ),
    "too many layers": (many_layers, "it has 128 layers, more than 127"),
    "one layer twice": (twice, "its layer 1 is its layer 0 again"),
}
"""What is wrong → how it is made and what is said."""


def laid_out(make: Maker, root: Any, path: Path) -> Layout:
    blobs = path / "blobs/sha256"
    blobs.mkdir(parents=True)
    for digest, content in make.memory.blobs.items():
        (blobs / digest.removeprefix("sha256:")).write_bytes(content)
    (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [root]}))
    return Layout(path)


def packed_up(layout: Path, path: Path) -> Archive:
    with tarfile.open(path, "w") as archive:
        archive.add(layout, ".")
    return Archive(path)


@pytest.mark.parametrize("name", IMAGES)
def test_a_wrong_image_is_told(name: str, tmp_path: Path) -> None:
    make = Maker()
    how, told = IMAGES[name]
    root = how(make)
    layout = laid_out(make, root, tmp_path / "layout")
    archive = packed_up(tmp_path / "layout", tmp_path / "archive")
    faults = validate(layout, layout.descriptor())
    assert told in "\n".join(faults)
    in_archive = validate(archive, archive.descriptor())
    assert [fault.replace(str(tmp_path / "archive"), "X") for fault in in_archive] == [
        fault.replace(str(tmp_path / "layout"), "X") for fault in faults
    ]


def test_a_right_image_has_no_fault() -> None:
    members = [folder("a"), file("a/b", "content")]
    for compression in Compression:
        image = Memory().image([members, [file("a/.wh.b")]], compression)
        assert validate(image.source, image.descriptor) == []


def test_every_fault_is_told_at_once() -> None:
    make = Maker()
    layers = [
        make.named(LAYER, member("../x") + END),
        make.named(LAYER, TAR, size=1),
        make.named(LAYER_GZIP, GZIP + b"more"),
        make.named("text/plain", b"text", digest=WRONG),
    ]
    config = make.config(b"1", b"2", b"3")
    manifest = make.manifest(*layers, config=config, mediaType="other")
    root = Descriptor.model_validate(make.image(manifest, platform=ARM))
    faults = "\n".join(validate(make.memory, root))
    for told in (
        "leads out of the root", "bytes, not 1", "goes on after its end", "media type 'text/plain'",
        "content has the digest", "3 diff ids for 4 layers", "it says that it is other",
        "named as one for linux/arm64",
    ):  # fmt: skip
        assert told in faults


def test_the_diff_id_of_a_hostile_layer_is_told_too() -> None:
    make = Maker()
    root = Descriptor.model_validate(make.of_layer(LAYER, member("../x") + END))
    faults = "\n".join(validate(make.memory, root))
    assert "leads out of the root" in faults
    assert "its diff id: " in faults


def test_an_index_is_validated_with_all_its_images() -> None:
    make = Maker()
    good, bad = make.good(platform=AMD), make.good(member("../x") + END, platform=AMD)
    root = Descriptor.model_validate(make.index(make.index(good), bad))
    (fault,) = validate(make.memory, root)
    assert "leads out of the root" in fault


def test_an_index_that_widens_at_each_level_is_looked_at_once() -> None:
    make = Maker()
    made = make.good(member("../x") + END)
    for _ in range(4):
        made = make.index(*[made] * 200)
    assert len(validate(make.memory, Descriptor.model_validate(made))) == 1


def test_an_artifact_is_what_it_says() -> None:
    make = Maker()
    empty = make.named("application/vnd.oci.empty.v1+json", b"{}")
    payload = make.named("text/spdx", b"text", digest=WRONG)
    manifest = make.manifest(payload, config=empty, artifactType="text/spdx")
    root = Descriptor.model_validate(make.image(manifest))
    (fault,) = validate(make.memory, root)
    assert fault.startswith(f"{WRONG}: its content has the digest")


def test_frames_that_zstd_skips_are_none_of_the_tar() -> None:
    make = Maker()
    skipped = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"note"
    root = make.of_layer(LAYER_ZSTD, skipped + ZSTD + skipped)
    assert validate(make.memory, Descriptor.model_validate(root)) == []


def test_members_of_gzip_are_one_tar() -> None:
    make = Maker()
    halves = packed(TAR[:700], Compression.GZIP) + packed(TAR[700:], Compression.GZIP)
    root = make.of_layer(LAYER_GZIP, halves)
    assert validate(make.memory, Descriptor.model_validate(root)) == []

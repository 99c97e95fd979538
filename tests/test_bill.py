"""What an image's bill says of it, and that others can read it: SPDX's and CycloneDX's own
validators, and dpkg, which lists the same packages."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from parts import bills
from parts.bench import Bench
from parts.missing import missing
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
from tritonbuild.rules.images.bill import Bill, Item
from tritonbuild.rules.images.describe import BASE_DIGEST, BASE_NAME, describe

from tritonbuild.digest import Digest
from tritonbuild.merkle import Entry, Folder

SECRET = "a-password-that-nobody-should-see"
WHEEL, WEIGHTS = "ab" * 32, "weights of a net"
URL = "https://models.example/net.onnx"
SITE = "opt/env/lib/python3.11/site-packages"
OUTPUTS = ["bill.json", "sbom.spdx.json", "sbom.cdx.json", "provenance.json"]
STATUS = """\
Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2.15-2+b7
Source: bash (5.2.15-2)

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: libc6
Status: hold ok installed
Architecture: amd64
Version: 2.36-9
Source: glibc
"""
SYSTEM = 'PRETTY_NAME="Debian"\nID=debian\nVERSION_ID="12"\n'
BASE = {
    "etc/os-release": SYSTEM,
    "var/lib/dpkg/status": STATUS,
    "usr/share/doc/bash/copyright": "GPL",
    "usr/lib/python3/dist-packages/apt-2.0.dist-info/METADATA": "",
}
TOP = {
    f"{SITE}/numpy-1.26.4.dist-info/METADATA": "",
    f"{SITE}/numpy-1.26.4.dist-info/LICENSE.txt": "BSD",
    "opt/tritonserver/backends/python/libtriton_python.so": "elf",
}
MODEL = {
    "models/net/config.pbtxt": 'backend: "onnxruntime"',
    "models/net/1/model.onnx": WEIGHTS,
    "models/net/10/a/b.bin": "more weights",
}
FACTS: dict[str, Any] = {
    "name": "server",
    "platform": "linux/amd64",
    "wheels": [
        {
            "name": "numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.whl",
            "url": f"https://user:{SECRET}@pypi.example/numpy.whl?token={SECRET}",
            "sha256": WHEEL,
            "size": 5,
        }
    ],
    "components": [
        {
            "kind": "backend",
            "name": "python",
            "path": "opt/tritonserver/backends/python",
            "release": "2.51.0",
            "purl": "pkg:pypi/nvidia-pytriton@0.7.0",
            "source": f"https://user:{SECRET}@pypi.example/pytriton.whl",
            "sha256": "cd" * 32,
        }
    ],
    "models": [
        {"name": "net", "path": "models/net", "sources": {"1/": "n.onnx", "10/": "nets/ten/"}}
    ],
    "build": {
        "label": "//serving:server",
        "tags": [f"https://user:{SECRET}@registry.example/server:{{git.short}}"],
        "attributes": {"env": {"URL": f"s3://key:{SECRET}@bucket/"}, "ports": [8000]},
        "locked": [
            {"name": "net.onnx", "url": URL, "size": 0,
             "sha256": Digest.of_bytes(WEIGHTS.encode()).hash}
        ],
        "commit": {"url": f"https://user:{SECRET}@git.example/acme.git", "sha1": "12" * 20},
    },
}  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "cache")


def described(
    bench: Bench,
    image: Folder,
    facts: Mapping[str, Any] = FACTS,
    external: Mapping[str, Entry] | None = None,
) -> dict[str, bytes]:
    """What the tool writes."""
    inputs = {"image": image, **{f"external/{k}": v for k, v in (external or {}).items()}}
    result = bench.run(describe, parameters=facts, inputs=inputs, outputs=OUTPUTS)
    return {name: bench.path(entry).read_bytes() for name, entry in result.outputs.items()}


def bill(documents: Mapping[str, bytes]) -> Bill:
    return Bill.decode(documents["bill.json"])


def of_kind(items: Iterable[Item], kind: str) -> list[Item]:
    return [item for item in items if item.kind == kind]


def assert_valid(documents: Mapping[str, bytes]) -> None:
    told = JsonStrictValidator(SchemaVersion.V1_6).validate_str(documents["sbom.cdx.json"].decode())
    assert told is None
    spdx = JsonLikeDictParser().parse(json.loads(documents["sbom.spdx.json"]))
    assert validate_full_spdx_document(spdx) == []


def components(document: bytes) -> Iterator[dict[str, Any]]:
    """All in a CycloneDX document."""
    waiting = json.loads(document)["components"]
    while waiting:
        yield (component := waiting.pop())
        waiting += component.get("components", [])


def packages(document: bytes) -> dict[str, dict[str, Any]]:
    """All in an SPDX document, by name."""
    return {package["name"]: package for package in json.loads(document)["packages"]}


def test_a_bill_says_what_is_in_an_image(bench: Bench) -> None:
    image = bills.image(bench, BASE, TOP, MODEL)
    base, top, models = bills.layers(bench, image)
    items = bill(described(bench, image)).items
    (system,) = of_kind(items, "system")
    assert (system.name, system.version, system.layers) == ("debian", "12", (base,))
    bash, libc = of_kind(items, "package")
    assert (bash.name, bash.version, bash.layers) == ("bash", "5.2.15-2+b7", (base,))
    assert bash.licence == "usr/share/doc/bash/copyright"
    assert bash.purl == (
        "pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64&distro=debian-12&upstream=bash%405.2.15-2"
    )
    assert (libc.name, libc.licence) == ("libc6", "")
    (numpy,) = of_kind(items, "wheel")
    assert (numpy.name, numpy.version, numpy.sha256, numpy.layers) == (
        "numpy", "1.26.4", WHEEL, (top,),
    )  # fmt: skip
    assert numpy.licence == f"{SITE}/numpy-1.26.4.dist-info/LICENSE.txt"
    (python,) = of_kind(items, "backend")
    assert (python.name, python.version, python.layers) == ("python", "2.51.0", (top,))
    (net,) = of_kind(items, "model")
    assert (net.name, net.version) == ("net", "1,10")
    assert [(file.name, file.size, file.source, file.layers) for file in net.items] == [
        ("net/1/model.onnx", len(WEIGHTS), URL, (models,)),
        ("net/10/a/b.bin", 12, "nets/ten/a/b.bin", (models,)),
        ("net/config.pbtxt", 22, "", (models,)),
    ]


def test_both_documents_are_valid_and_name_everything(bench: Bench) -> None:
    annotations = {BASE_NAME: "registry.example/base:1", BASE_DIGEST: f"sha256:{'ef' * 32}"}
    image = bills.image(bench, BASE, TOP, MODEL, annotations=annotations)
    documents = described(bench, image)
    assert_valid(documents)
    names = {
        "debian", "bash", "libc6", "numpy", "python", "net", "net/1/model.onnx", "net/10/a/b.bin",
        "net/config.pbtxt",
    }  # fmt: skip
    cyclonedx = {item["name"]: item for item in components(documents["sbom.cdx.json"])}
    spdx = packages(documents["sbom.spdx.json"])
    assert set(cyclonedx) == names
    assert set(spdx) == {*names, "server", "registry.example/base:1"}
    weights = Digest.of_bytes(WEIGHTS.encode()).hash
    assert cyclonedx["net"]["type"] == "machine-learning-model"
    assert cyclonedx["net/1/model.onnx"]["hashes"] == [{"alg": "SHA-256", "content": weights}]
    checksum = {"algorithm": "SHA256", "checksumValue": weights}
    assert spdx["net/1/model.onnx"]["checksums"] == [checksum]
    assert spdx["net/1/model.onnx"]["downloadLocation"] == URL
    (ancestor,) = json.loads(documents["sbom.cdx.json"])["metadata"]["component"]["pedigree"][
        "ancestors"
    ]
    assert ancestor["version"] == f"sha256:{'ef' * 32}"


def test_a_provenance_names_what_went_in(bench: Bench) -> None:
    annotations = {BASE_NAME: "registry.example/base:1", BASE_DIGEST: f"sha256:{'ef' * 32}"}
    image = bills.image(bench, BASE, TOP, MODEL, annotations=annotations)
    documents = described(bench, image)
    statement = json.loads(documents["provenance.json"])
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    (subject,) = statement["subject"]
    assert f"sha256:{subject['digest']['sha256']}" == bill(documents).digest
    definition = statement["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["label"] == "//serving:server"
    assert definition["externalParameters"]["attributes"]["ports"] == [8000]
    digests = [next(iter(item["digest"].values())) for item in definition["resolvedDependencies"]]
    weights = Digest.of_bytes(WEIGHTS.encode()).hash
    assert {WHEEL, "cd" * 32, "ef" * 32, "12" * 20, weights} <= set(digests)
    assert "metadata" not in statement["predicate"]["runDetails"]


def test_no_secret_is_in_any_document(bench: Bench) -> None:
    documents = described(bench, bills.image(bench, BASE, TOP, MODEL))
    for name, document in documents.items():
        assert SECRET not in document.decode(), name
    assert b"pypi.example/numpy.whl" in documents["sbom.spdx.json"]


def test_the_same_image_has_the_same_documents(tmp_path: Path) -> None:
    first, second = Bench(tmp_path / "one"), Bench(tmp_path / "two")
    assert described(first, bills.image(first, BASE, TOP, MODEL)) == described(
        second, bills.image(second, BASE, TOP, MODEL)
    )


def test_another_bill_has_another_serial_number(bench: Bench) -> None:
    image = bills.image(bench, BASE, TOP, MODEL)
    documents = [described(bench, image), described(bench, image, {**FACTS, "wheels": []})]
    numbers = {json.loads(d["sbom.cdx.json"])["serialNumber"] for d in documents}
    spaces = {json.loads(d["sbom.spdx.json"])["documentNamespace"] for d in documents}
    assert (len(numbers), len(spaces)) == (2, 2)


def test_the_packages_are_those_that_dpkg_lists(bench: Bench) -> None:
    status = Path("/var/lib/dpkg/status")
    if not status.exists():
        missing("this machine has no dpkg status", "run the tests on Debian or Ubuntu")
    told = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version} ${Architecture}\n"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    wanted = {line.split(" ", 1)[1] for line in told.splitlines() if line.startswith("installed ")}
    text = status.read_text(errors="surrogateescape")
    image = bills.image(bench, {"etc/os-release": SYSTEM, "var/lib/dpkg/status": text})
    facts = {**FACTS, "wheels": [], "components": [], "models": []}
    documents = described(bench, image, facts)
    assert_valid(documents)
    found = [item["purl"] for item in components(documents["sbom.cdx.json"]) if "purl" in item]
    assert len(found) == len(wanted) > 50
    items = of_kind(bill(documents).items, "package")
    assert {f"{i.name} {i.version}" for i in items} == {w.rsplit(" ", 1)[0] for w in wanted}


def test_packages_with_a_status_each_are_found(bench: Bench) -> None:
    """As in distroless images."""
    folder = "var/lib/dpkg/status.d"
    image = bills.image(
        bench,
        {"etc/os-release": SYSTEM, f"{folder}/base": "Package: base-files\nVersion: 12.4\n"},
        {f"{folder}/base.md5sums": "d41d  usr/x\n", f"{folder}/tz": "Package: tz\nVersion: 1\n"},
    )
    _, upper = bills.layers(bench, image)
    items = of_kind(bill(described(bench, image)).items, "package")
    assert [(item.name, item.version) for item in items] == [("base-files", "12.4"), ("tz", "1")]
    assert items[1].layers == (upper,)


def test_weights_that_stay_outside_are_listed_without_a_layer(bench: Bench) -> None:
    image = bills.image(bench, {"models/net/config.pbtxt": "x"})
    tree = Folder(
        {
            "config.pbtxt": bench.file(b"another, without the environment"),
            "1": Folder({"model.onnx": bench.file(WEIGHTS.encode())}),
        }
    )
    documents = described(bench, image, external={"net": tree})
    assert_valid(documents)
    (net,) = of_kind(bill(documents).items, "model")
    assert [(file.name, bool(file.layers)) for file in net.items] == [
        ("net/1/model.onnx", False), ("net/config.pbtxt", True),
    ]  # fmt: skip
    assert (net.version, net.items[0].sha256) == ("1", Digest.of_bytes(WEIGHTS.encode()).hash)


def test_an_image_of_nothing_has_a_valid_bill(bench: Bench) -> None:
    facts = {"name": "empty", "platform": "linux/amd64", "build": {"label": "//:empty"}}
    documents = described(bench, bills.image(bench, {"x": "x"}), facts)
    assert_valid(documents)
    assert bill(documents).items == ()


@pytest.mark.parametrize(
    "status",
    [
        "Package: \nVersion: 1\n",
        "Version: 1\n\nPackage: x\n\nStatus:\nPackage: y\nVersion: 1\n",
        "no colon\n\x00\n: nothing\n  \n",
        "Package: a\udcff\nVersion: not a version!\nSource: ((\nArchitecture: &\n",
    ],
)
def test_a_hostile_base_still_gets_a_valid_bill(bench: Bench, status: str) -> None:
    image = bills.image(
        bench,
        {
            "etc/os-release": "=\nID=\udcff\n#\nVERSION_ID",
            "var/lib/dpkg/status": status,
            f"{SITE}/.dist-info/METADATA": "",
            f"{SITE}/odd\udcff-1.dist-info/METADATA": "",
            f"{SITE}/odd\udcff-1.dist-info/LICENSE\udcfe": "",
            "models/net/1/\udcff ?": "x",
        },
    )
    documents = described(bench, image)
    assert_valid(documents)
    assert "odd" in str(of_kind(bill(documents).items, "wheel"))


@pytest.mark.parametrize(
    "url", ["s3://bucket/a b", "https://ä.example/ü#x", f"oci://u:?{SECRET}@h/x"]
)
def test_any_source_makes_a_valid_bill(bench: Bench, url: str) -> None:
    locked = [{**FACTS["build"]["locked"][0], "url": url}]
    facts = {**FACTS, "build": {**FACTS["build"], "locked": locked}}
    documents = described(bench, bills.image(bench, MODEL), facts)
    assert_valid(documents)
    assert SECRET not in str(documents)

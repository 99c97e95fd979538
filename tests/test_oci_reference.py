"""The names of images."""

from __future__ import annotations

import pytest

from tritonbuild.oci import Invalid
from tritonbuild.oci.registry import Reference

DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("debian", Reference("docker.io", "library/debian")),
        ("debian:12", Reference("docker.io", "library/debian", "12")),
        ("acme/net:v1", Reference("docker.io", "acme/net", "v1")),
        ("docker.io/debian", Reference("docker.io", "library/debian")),
        ("index.docker.io/acme/net", Reference("docker.io", "acme/net")),
        ("localhost/net", Reference("localhost", "net")),
        ("127.0.0.1:5000/a/b_c/d--e:V.1-x", Reference("127.0.0.1:5000", "a/b_c/d--e", "V.1-x")),
        ("oci://registry/net:v1", Reference("registry", "net", "v1")),
        ("[::1]:5000/net", Reference("[::1]:5000", "net")),
        (f"ghcr.io/a/b@{DIGEST}", Reference("ghcr.io", "a/b", "", DIGEST)),
        (f"ghcr.io/a/b:v1@{DIGEST}", Reference("ghcr.io", "a/b", "v1", DIGEST)),
    ],
)
def test_a_reference_says_where_it_is(text: str, meant: Reference) -> None:
    assert Reference.parse(text) == meant
    assert Reference.parse(f"oci://{meant}") == meant


@pytest.mark.parametrize(
    "text",
    [
        "", "/", "acme/", "acme/Net", "a b", "acme/net:", "acme/net:-x", f"acme/net:{'x' * 129}",
        "acme/net@sha256:12", f"acme/net@sha512:{'0' * 128}", "acme/net@", "a..b/c..d", "acme//net",
        "ghcr.io:port/a", "oci://net", "https://ghcr.io/a", "ghcr.io/../a", "ghcr.io/a\n",
        f"ghcr.io/{'a' * 256}",
    ],
)  # fmt: skip
def test_what_is_no_reference_is_told(text: str) -> None:
    with pytest.raises(Invalid, match="names no image") as error:
        Reference.parse(text)
    assert "REPOSITORY[:TAG]" in error.value.problem.expected


def test_a_url_is_told_without_its_password() -> None:
    with pytest.raises(Invalid) as error:
        Reference.parse("https://user:secret@ghcr.io/a/b")
    assert "scheme" in error.value.problem.remedy
    with pytest.raises(Invalid) as other:
        Reference.parse("user:secret@ghcr.io/a/b")
    assert "secret" not in str(error.value) + str(other.value)


def test_a_registry_is_asked_for_the_most_precise_name() -> None:
    names = [Reference("r", "n", "v", DIGEST), Reference("r", "n", "v"), Reference("r", "n")]
    assert [reference.name for reference in names] == [DIGEST, "v", "latest"]

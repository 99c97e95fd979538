"""Packages as layers: packages made for a test, with what real ones seldom have."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Mapping

import pytest
from parts.bench import Bench
from parts.debian import entry, make_deb
from tritonbuild.rules.debian.image import make_deb_base
from tritonbuild.rules.debian.layer import make_deb_layer
from tritonbuild.rules.debian.root import ACCOUNTS, make_deb_root

from tritonbuild.merkle import Entry, File, Folder
from tritonbuild.rule import ActionError

Info = tarfile.TarInfo


@pytest.fixture
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


def made(bench: Bench, *packages: bytes, epoch: int = 0) -> Mapping[str, Entry]:
    inputs = {f"debs/{n}.deb": bench.file(package) for n, package in enumerate(packages)}
    return bench.run(
        make_deb_layer, parameters={"epoch": epoch}, inputs=inputs, outputs=["layer", "status"]
    ).outputs


def members(bench: Bench, layer: Entry) -> dict[str, tuple[Info, bytes]]:
    assert isinstance(layer, Folder)
    blob = layer.get("blob")
    assert isinstance(blob, File)
    with tarfile.open(bench.path(blob)) as tar:
        found = {}
        for info in tar:
            file = tar.extractfile(info) if info.isfile() else None
            found[info.name] = info, file.read() if file else b""
        return found


def files(bench: Bench, *packages: Iterable[tuple[Info, bytes]]) -> dict[str, tuple[Info, bytes]]:
    """Of a layer of packages, without dpkg's."""
    debs = [make_deb(f"package{n}", content) for n, content in enumerate(packages)]
    there = members(bench, made(bench, *debs)["layer"])
    return {path: found for path, found in there.items() if not path.startswith("var/lib/dpkg")}


def refused(bench: Bench, *packages: bytes) -> str:
    with pytest.raises(ActionError) as error:
        made(bench, *packages)
    return str(error.value)


FOLDER, LINK, HARD = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def test_modes_owners_and_links_are_the_packages_own(bench: Bench) -> None:
    sudo = entry("usr/bin/sudo", b"x", 0o4755)
    wall = entry("usr/bin/wall", b"y", 0o2755)
    wall[0].gid, wall[0].gname, wall[0].mtime = 5, "tty", 1234567
    link = entry("usr/bin/s", "sudo", 0o777, LINK)
    found = files(bench, [sudo, wall, link])
    assert found["usr/bin/sudo"][0].mode == 0o4755
    info = found["usr/bin/wall"][0]
    assert (info.mode, info.uid, info.gid, info.gname, info.mtime) == (0o2755, 0, 5, "", 0)
    assert found["usr/bin/s"][0].linkname == "sudo"


def test_what_lies_in_linked_folders_is_put_where_they_lead(bench: Bench) -> None:
    content = [
        entry("bin", kind=FOLDER, mode=0o755),
        entry("bin/sh", b"x"),
        entry("bin/bash", "./bin/sh", kind=HARD),
        entry("lib64", "usr/lib64", kind=LINK),
        entry("lib/x/libx.so", b"y"),
        entry("library/z", b"z"),
        entry("var/run", kind=FOLDER, mode=0o755),
        entry("var/run/daemon", kind=FOLDER, mode=0o755),
    ]
    found = files(bench, content)
    assert sorted(found) == [
        "library/z", "run", "run/daemon", "usr/bin", "usr/bin/bash", "usr/bin/sh",
        "usr/lib/x/libx.so",
    ]  # fmt: skip
    assert found["usr/bin/bash"][0].linkname == "usr/bin/sh"


def test_manuals_and_translations_are_left_out_and_copyrights_kept(bench: Bench) -> None:
    kept = ["usr/share/doc/a/copyright", "usr/share/locale/locale.alias", "usr/share/manual"]
    left = [
        "usr/share/doc/a/README", "usr/share/man/man1/a.1.gz", "usr/share/locale/de/a.mo",
        "usr/share/info/a.info",
    ]  # fmt: skip
    package = make_deb(
        "a",
        [entry(path, b"x") for path in (*kept, *left)],
        md5sums="".join(f"9dd4e461268c8034f5c8564e155c67a6  {path}\n" for path in (*kept, *left)),
    )
    found = members(bench, made(bench, package)["layer"])
    assert [path for path in found if not path.startswith("var")] == kept
    for ending in ("list", "md5sums"):
        text = found[f"var/lib/dpkg/info/a.{ending}"][1].decode()
        assert all(path in text for path in kept)
        assert not any(path in text for path in left)


def test_the_state_of_a_package_is_told_as_dpkg_does(bench: Bench) -> None:
    package = make_deb(
        "a",
        [entry("etc/a.conf", b"x")],
        {"Multi-Arch": "same", "Description": "short\n long\n ."},
        conffiles="/etc/a.conf\n",
    )
    outputs = made(bench, package)
    assert "var/lib/dpkg/info/a:amd64.list" in members(bench, outputs["layer"])
    status = outputs["status"]
    assert isinstance(status, File)
    assert bench.read(status.digest) == (
        "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n"
        "Multi-Arch: same\nDescription: short\n long\n .\n"
        "Conffiles:\n /etc/a.conf 9dd4e461268c8034f5c8564e155c67a6\n\n"
    )


def test_folders_of_several_packages_are_merged(bench: Bench) -> None:
    one = [entry("etc", kind=FOLDER, mode=0o700), entry("etc/a", b"a")]
    two = [entry("etc", kind=FOLDER, mode=0o755), entry("etc/b", b"b")]
    found = files(bench, one, two)
    assert found.keys() == {"etc", "etc/a", "etc/b"}
    assert found["etc"][0].mode == 0o700


@pytest.mark.parametrize("swapped", [False, True])
def test_a_package_replaces_files_of_one_that_it_names(bench: Bench, swapped: bool) -> None:
    old = make_deb("old", [entry("bin/tool", b"old"), entry("bin/old", b"")])
    new = make_deb("new", [entry("usr/bin/tool", b"new")], {"Replaces": "old (<< 2), other"})
    found = members(bench, made(bench, *((new, old) if swapped else (old, new)))["layer"])
    assert found["usr/bin/tool"][1] == b"new"
    assert found["var/lib/dpkg/info/old.list"][1] == b"/.\n/usr/bin/old\n"
    assert found["var/lib/dpkg/info/new.list"][1] == b"/.\n/usr/bin/tool\n"


@pytest.mark.parametrize("replaces", ["", "old (<< 1)"])
def test_a_file_of_two_packages_is_refused(bench: Bench, replaces: str) -> None:
    old = make_deb("old", [entry("bin/tool", b"old")])
    new = make_deb(
        "new", [entry("usr/bin/tool", b"new")], {"Replaces": replaces} if replaces else {}
    )
    assert "/usr/bin/tool is in both old and new" in refused(bench, old, new)


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_a_device_is_refused(bench: Bench, kind: bytes) -> None:
    assert "./dev/x is a device" in refused(bench, make_deb("a", [entry("dev/x", kind=kind)]))


@pytest.mark.parametrize("path", ["../evil", "usr/../../evil"])
def test_a_path_that_leads_out_is_refused(bench: Bench, path: str) -> None:
    assert "leads out of the root" in refused(bench, make_deb("a", [entry(path, b"x")]))


def test_a_hard_link_to_what_is_left_out_is_refused(bench: Bench) -> None:
    content = [entry("usr/share/man/a", b"x"), entry("usr/share/b", "./usr/share/man/a", kind=HARD)]
    assert "usr/share/man/a, which is not" in refused(bench, make_deb("a", content))


def test_a_damaged_package_is_told(bench: Bench) -> None:
    package = make_deb("a", [entry("usr/x", bytes(100000))])
    middle = len(package) - 50
    damaged = [
        package[:200],
        package[: len(package) - 20],
        package[:middle] + bytes([package[middle] ^ 255]) + package[middle + 1 :],
        b"no package at all",
        package.replace(b"data.tar.xz", b"nothing.xyz"),
    ]
    for content in damaged:
        assert "0.deb is damaged" in refused(bench, content)


def test_all_times_are_the_one_that_is_said(bench: Bench) -> None:
    package = make_deb("a", [entry("etc", kind=FOLDER, mode=0o755), entry("etc/a", b"")])
    found = members(bench, made(bench, package, epoch=1700000000)["layer"])
    assert {info.mtime for info, _ in found.values()} == {1700000000}


def root(bench: Bench, architecture: str = "amd64", passwd: Entry | None = None) -> Folder:
    parameters = {"architecture": architecture, "epoch": 0}
    given = {ACCOUNTS: passwd} if passwd else {}
    layer = bench.run(
        make_deb_root, parameters=parameters, inputs=given, outputs=["layer"]
    ).outputs["layer"]
    assert isinstance(layer, Folder)
    return layer


def test_the_root_has_the_links_of_its_architecture(bench: Bench) -> None:
    for architecture, links in (
        ("amd64", ["bin", "lib", "lib32", "lib64", "libx32", "sbin"]),
        ("arm64", ["bin", "lib", "sbin"]),
    ):
        found = members(bench, root(bench, architecture))
        assert [p for p, (i, _) in found.items() if i.issym() and "/" not in p] == links
        assert all(found[f"usr/{link}"][0].isdir() for link in links)
        assert found["tmp"][0].mode == 0o1777
        assert found["root"][0].mode == 0o700


def test_nobody_has_a_password_and_others_cannot_read_that(bench: Bench) -> None:
    found = members(bench, root(bench))
    assert found["etc/passwd"][1].startswith(b"root:x:0:0:root:/root:/bin/sh\n")
    assert found["etc/shadow"][1].startswith(b"root:*::0:99999:7:::\n")
    assert (found["etc/shadow"][0].mode, found["etc/shadow"][0].gid) == (0o640, 42)


def test_users_and_groups_are_those_of_base_passwd(bench: Bench) -> None:
    masters = {"passwd": "root:*:0:0:root:/root:/bin/bash\n", "group": "root:*:0:\nvideo:*:44:a\n"}
    package = make_deb(
        "base-passwd",
        [
            entry(f"usr/share/base-passwd/{name}.master", text.encode())
            for name, text in masters.items()
        ],
    )
    found = members(bench, root(bench, passwd=bench.file(package)))
    assert found["etc/passwd"][1] == b"root:x:0:0:root:/root:/bin/bash\n"
    assert found["etc/group"][1] == b"root:x:0:\nvideo:x:44:a\n"
    assert found["etc/gshadow"][1] == b"root:*::\nvideo:*::\n"


def base(bench: Bench, *packages: bytes) -> Folder:
    """An image of a root and a layer a package."""
    layers = [root(bench), *(made(bench, package)["layer"] for package in packages)]
    image = bench.run(
        make_deb_base,
        parameters={"platform": "linux/amd64"},
        inputs={f"layers/{n:03}": layer for n, layer in enumerate(layers)},
        outputs=["image"],
    ).outputs["image"]
    assert isinstance(image, Folder)
    return image


def test_a_layer_that_would_replace_anothers_file_is_refused(bench: Bench) -> None:
    one = make_deb("one", [entry("bin/tool", b"1")])
    two = make_deb("two", [entry("usr/bin/tool", b"2")])
    with pytest.raises(ActionError, match="/usr/bin/tool of Debian package two is in another"):
        base(bench, one, two)


def test_an_image_says_what_put_each_layer_there(bench: Bench) -> None:
    image = base(bench, make_deb("one", [entry("bin/tool", b"1")]))

    def read(path: str) -> dict[str, object]:
        file = image.get(path)
        assert isinstance(file, File)
        found: dict[str, object] = json.loads(bench.read(file.digest))
        return found

    def blob(descriptor: object) -> dict[str, object]:
        assert isinstance(descriptor, dict)
        return read(f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}")

    manifests = read("index.json")["manifests"]
    assert isinstance(manifests, list)
    config = blob(blob(manifests[0])["config"])
    history = config["history"]
    assert isinstance(history, list)
    assert [layer["created_by"] for layer in history] == [
        "an empty Debian root",
        "Debian package one",
    ]
    assert config["config"] == {
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    }

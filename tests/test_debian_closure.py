"""What packages need: in small archives, and beside apt in the real one."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence

import pytest
from parts.debian import paragraph
from parts.missing import missing
from tritonbuild.rules.debian.archive import Index, indexes
from tritonbuild.rules.debian.closure import closure
from tritonbuild.rules.debian.pool import Pool
from tritonbuild.rules.python.debian import mirrors

from tritonbuild.rule import UsageError


def pool(*paragraphs: str) -> Pool:
    return Pool([Index("debian", "20261121T000000Z", "\n".join(paragraphs).encode())])


def names(pool: Pool, *wanted: str) -> list[str]:
    return [package.name for package in closure(pool, wanted)]


def refused(pool: Pool, *wanted: str) -> str:
    with pytest.raises(UsageError) as error:
        closure(pool, wanted)
    return str(error.value)


def test_dependencies_come_along_and_recommendations_do_not() -> None:
    there = pool(
        paragraph("a", Depends="b, c (>= 1)", Pre_Depends="d", Recommends="e", Suggests="e"),
        *map(paragraph, "bcde"),
    )
    assert names(there, "a") == ["a", "b", "c", "d"]


def test_a_circle_ends() -> None:
    there = pool(paragraph("a", Depends="b"), paragraph("b", Depends="a"))
    assert names(there, "a") == ["a", "b"]


def test_of_alternatives_the_first_is_taken() -> None:
    there = pool(paragraph("a", Depends="b | c"), *map(paragraph, "bc"))
    assert names(there, "a") == ["a", "b"]


def test_an_alternative_that_is_taken_anyway_is_enough() -> None:
    there = pool(paragraph("a", Depends="b | c"), *map(paragraph, "bc"))
    assert names(there, "a", "c") == ["a", "c"]


def test_an_alternative_that_cannot_be_is_passed_over() -> None:
    there = pool(paragraph("a", Depends="gone | b (>= 2) | c"), *map(paragraph, "bc"))
    assert names(there, "a") == ["a", "c"]


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("virtual", "zz"),  # the more important one
        ("virtual (>= 2)", "y"),  # the only one that says its version
        ("virtual (>= 2) | x", "y"),
    ],
)
def test_what_is_provided_satisfies(wanted: str, chosen: str) -> None:
    there = pool(
        paragraph("a", Depends=wanted),
        paragraph("x", Provides="virtual"),
        paragraph("y", Provides="other, virtual (= 2.1)"),
        paragraph("zz", Provides="virtual", Priority="required"),
    )
    assert names(there, "a") == ["a", chosen]


@pytest.mark.parametrize(
    ("relation", "holds"),
    [
        ("(>= 1:1.0)", True),
        ("(>= 2)", True),  # an epoch wins
        ("(<< 1:1.0)", False),
        ("(>> 1:1.0~rc1)", True),
        ("(= 1:1.0)", True),
        ("(= 1.0)", False),
        ("(<= 1:1.0+b1)", True),
    ],
)
def test_versions_are_compared_as_debian_does(relation: str, holds: bool) -> None:
    there = pool(paragraph("a", Depends=f"b {relation}"), paragraph("b", "1:1.0"))
    if holds:
        assert names(there, "a") == ["a", "b"]
    else:
        assert f"a 1 needs b {relation}, b is 1:1.0" in refused(there, "a")


@pytest.mark.parametrize(("qualifier", "holds"), [("any", True), ("amd64", True), ("i386", False)])
def test_architectures_of_relations_are_heeded(qualifier: str, holds: bool) -> None:
    there = pool(paragraph("a", Depends=f"b:{qualifier}"), paragraph("b"))
    if holds:
        assert names(there, "a") == ["a", "b"]
    else:
        assert "a 1 needs b:i386" in refused(there, "a")


def test_a_dependency_that_is_not_there_is_told_with_who_needs_it() -> None:
    assert "a 1 needs gone (>= 2), which there is not" in refused(
        pool(paragraph("a", Depends="gone (>= 2)")), "a"
    )


def test_all_that_is_wrong_is_told_at_once() -> None:
    said = refused(pool(paragraph("bash", Depends="gone")), "bahs", "bash")
    assert "no package 'bahs'" in said
    assert "did you mean 'bash'?" in said
    assert "bash 1 needs gone" in said


def test_a_virtual_package_is_told_with_those_that_provide_it() -> None:
    there = pool(paragraph("mawk", Provides="awk"), paragraph("gawk", Provides="awk"))
    assert "one of: gawk, mawk" in refused(there, "awk")


@pytest.mark.parametrize("field", ["Conflicts", "Breaks"])
def test_packages_that_exclude_each_other_are_told(field: str) -> None:
    there = pool(paragraph("a", **{field: "b (<< 2)"}), paragraph("b"), paragraph("c", Depends="b"))
    assert "a 1 cannot be installed together with b 1" in refused(there, "a", "c")
    assert names(there, "a") == ["a"]


def test_a_package_may_conflict_with_what_it_provides_itself() -> None:
    assert names(pool(paragraph("a", Provides="mta", Conflicts="mta")), "a") == ["a"]


def test_a_version_can_be_asked_for() -> None:
    there = pool(paragraph("a", "1:1"), paragraph("a", "1:2"), paragraph("a", "1:3"))
    for wanted, version in (("a", "1:3"), ("a=1:1", "1:1"), ("a=2", "1:2")):
        assert [package.version for package in closure(there, [wanted])] == [version]
    assert "there is no a 4" in refused(there, "a=4")
    assert "a=1:1 or 1:2 or 1:3" in refused(there, "a=4")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return Pool(indexes("bookworm", "amd64", tmp_path_factory.mktemp("indexes")))


@pytest.fixture(scope="module")
def apt(tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    """apt-get for a root where nothing is installed."""
    folder = tmp_path_factory.mktemp("apt")
    sources = folder / "sources.list"
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    lines = (
        f"deb [trusted=yes] {mirrors(archive)[0]} {suite} main\n"
        for archive, suite in (
            ("debian", "bookworm"),
            ("debian", "bookworm-updates"),
            ("debian-security", "bookworm-security"),
        )
    )
    sources.write_text("".join(lines))
    settings = {
        "APT::Architecture": "amd64",
        "APT::Architectures": "amd64",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Dir::Cache": folder,
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": folder,
        "Dir::State::status": folder / "status",
    }
    command = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in settings.items())]
    try:
        subprocess.run([*command, "update"], check=True)
    except FileNotFoundError:
        missing("apt-get is not here", "run on Debian")
    return command


@pytest.mark.parametrize(
    "wanted",
    [
        "base-passwd bash ca-certificates coreutils dash libc-bin libpython3.11 libstdc++6 netbase "
        "python3 tzdata",
        "curl gawk git libgomp1 nginx numactl openssh-client perl python3-numpy",
    ],
)
def test_what_is_taken_is_what_apt_takes(real: Pool, apt: Sequence[str], wanted: str) -> None:
    said = subprocess.run(
        [*apt, "--simulate", "--no-install-recommends", "install", *wanted.split()],
        env={**os.environ, "LC_ALL": "C"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    expected = dict(re.findall(r"^Inst (\S+) \((\S+)", said, re.MULTILINE))
    assert expected
    taken = closure(real, wanted.split())
    assert {package.name: package.version for package in taken} == expected

"""Python environments: the bundled Python with real wheels, and wheels made for a test."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from parts.packages import only_folder
from parts.wheels import make_wheel
from parts.workspace import Make, Workspace, workspaces
from tritonbuild.rules.python.environment import overlay

from tritonbuild.digest import Digest
from tritonbuild.events import Status
from tritonbuild.lock import Lock
from tritonbuild.merkle import File, Folder, folder_of
from tritonbuild.rule import AnalysisError, UsageError

SERVER = {"server/bin/tritonserver": "", "server/backends/python/model.txt": ""}


def manifest(environments: str, requirements: str = '["numpy<2"]') -> str:
    return f"""
        [distributions.own]
        path = "server"
        requirements = {requirements}

        [shown.here]
        distribution = ":own"
        environments = {environments}
    """


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    with workspaces(tmp_path_factory.mktemp("environments")) as made:
        yield made


@pytest.fixture(scope="module")
def numpy(make: Make) -> Path:
    """An environment with what every one gets, numpy, alone."""
    workspace: Workspace = make(manifest("{ plain = [] }"), SERVER)
    workspace.build("here")
    return workspace.output("here/plain")


def say(environment: Path, code: str) -> str:
    return subprocess.run(
        ["python3", "-c", code],
        env={"PATH": str(environment / "bin")},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def test_it_has_what_the_distribution_needs(numpy: Path) -> None:
    version, place = json.loads(
        say(numpy, "import json, numpy as n; print(json.dumps([n.__version__, n.__file__]))")
    )
    assert version.startswith("1.")
    assert Path(place).is_relative_to(numpy)


def test_packages_are_known_by_their_metadata(numpy: Path) -> None:
    assert say(numpy, "from importlib.metadata import version; print(version('numpy'))")


def test_it_needs_no_library_of_the_host_but_glibc(numpy: Path) -> None:
    code = "import numpy; print(open('/proc/self/maps').read())"
    mapped = {line.split()[-1] for line in say(numpy, code).splitlines() if ".so" in line}
    hosts = {Path(path).name for path in mapped if not path.startswith(f"{numpy}/")}
    assert all(name.startswith(("ld-linux", "libc.", "libm.", "libdl.", "libpthread.", "librt."))
               for name in hosts), hosts  # fmt: skip


def test_it_works_as_a_folder_to_activate(numpy: Path) -> None:
    script = f"source {numpy}/bin/activate && exec python3 -c 'import numpy; print(numpy.__file__)'"
    printed = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True)
    assert Path(printed.stdout.strip()).is_relative_to(numpy)


def test_nothing_is_written_into_it(numpy: Path) -> None:
    before = set(numpy.rglob("*"))
    say(numpy, "import numpy, numpy.linalg, numpy.random")
    assert set(numpy.rglob("*")) == before


def test_environments_of_one_target_share_their_wheels(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(tmp_path, "base", "1", {"base.py": "name = 'base'\n"})
    make_wheel(tmp_path, "top", "1", {"top.py": "from base import name\n"}, requires=["base"])
    only_folder(monkeypatch, tmp_path)
    workspace = make(manifest('{ one = ["base"], two = ["top"], three = ["base"] }', "[]"), SERVER)
    workspace.build("here")
    unpacked = [ended for ended in workspace.ended if "unpack base" in ended.action]
    assert len(unpacked) == 1
    assert say(workspace.output("here/two"), "import top; print(top.name)") == "base"
    assert not (workspace.output("here/one") / "lib/python3/dist-packages/top.py").exists()


@pytest.mark.parametrize("again", [{"size": 0}, {"sha256": "0" * 64}])
def test_two_resolutions_may_say_different_things_of_one_name(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: dict[str, Any]
) -> None:
    make_wheel(tmp_path, "base", "1", {})
    make_wheel(tmp_path, "top", "1", {}, requires=["base"])
    only_folder(monkeypatch, tmp_path)
    workspace = make(manifest('{ one = ["base"], two = ["top"] }', "[]"), SERVER)
    workspace.analyze("here")
    lock = Lock.read(workspace.root)
    (alone,) = (request for request in lock.entries if request.request == ("base",))
    (base,) = lock.entries[alone]
    lock.with_entries({alone: [replace(base, **again)]}).write(workspace.root)
    fetched = [id.name for id in workspace.analyze("here").actions if "fetch base" in id.name]
    assert len(fetched) == len({base.sha256, again.get("sha256", base.sha256)})


def test_a_second_build_has_nothing_to_do(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(tmp_path, "lone", "1", {"lone.py": ""})
    only_folder(monkeypatch, tmp_path)
    workspace = make(manifest('{ one = ["lone"] }', "[]"), SERVER)
    workspace.build("here")
    workspace.ended.clear()
    assert workspace.build("here").metrics.executed == 0
    assert {ended.status for ended in workspace.ended} == {Status.CACHED}


def test_the_package_that_is_later_by_name_wins_a_path_and_the_log_says_so() -> None:
    def site(content: bytes) -> Folder:
        return folder_of({"tests/__init__.py": File(Digest.of_bytes(content))})

    log = io.StringIO()
    merged = overlay(site(b"first"), site(b"second"), log, "second-1.0")
    assert merged.get("tests/__init__.py") == File(Digest.of_bytes(b"second"))
    assert log.getvalue() == (
        "tests/__init__.py is that of second-1.0; another package has one too\n"
    )


def test_the_same_file_in_two_packages_is_nothing_to_speak_of() -> None:
    site, log = folder_of({"pkg/__init__.py": File(Digest.of_bytes(b""))}), io.StringIO()
    assert overlay(site, site, log, "second-1.0").digest == site.digest
    assert not log.getvalue()


@pytest.mark.parametrize(
    ("requirement", "found"),
    [
        ("numpy<", "'numpy<' is not a requirement"),
        ("-r other.txt", "'-r other.txt' is not a requirement"),
        ("own @ https://example.org/own-1.0-py3-none-any.whl", "names a file"),
    ],
)
def test_what_is_not_a_requirement_is_an_error(make: Make, requirement: str, found: str) -> None:
    workspace = make(manifest(f'{{ one = ["{requirement}"] }}'), SERVER)
    with pytest.raises(AnalysisError) as error:
        workspace.analyze("here")
    assert found in str(error.value)
    assert "numpy<2" in error.value.problems[0].expected


def test_requirements_that_contradict_the_distributions_are_an_error(make: Make) -> None:
    workspace = make(manifest('{ one = ["numpy>=2"] }'), SERVER)
    with pytest.raises(UsageError, match="contradict each other") as error:
        workspace.analyze("here")
    assert "numpy<2 may come from the distribution" in error.value.problems[0].remedy

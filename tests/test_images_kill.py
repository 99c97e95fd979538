"""kill -9 of builds, pushes, pulls and loads of images at 52 random moments: afterwards all is
right, and nothing moves twice that was there.

TRITONBUILD_TEST_SEED repeats the moments of an earlier run, which a failure shows.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Outcome, WorkspaceFolder
from docker import DockerClient
from docker.errors import ImageNotFound
from parts.carrying import SERVER, carrying, identity, uploaded, valid, valid_in_registry
from parts.dockerd import Dockerd
from parts.faulty import faulty
from parts.leftovers import Trace, traced
from parts.registry import registry
from test_kill import forget_everything

from tritonbuild.cache.disk import DiskCache
from tritonbuild.cache.upkeep import verify

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]

TIMES = 13
"""Of each verb."""


@dataclass
class Victim:
    trace: Trace
    rng: random.Random
    digest: str
    """Of the image."""
    takes: float = 0.0
    """Seconds of a verb that nobody kills."""

    @property
    def workspace(self) -> WorkspaceFolder:
        return self.trace.workspace

    @property
    def layout(self) -> Path:
        return self.workspace.output("_/server")

    def run(self, *arguments: str) -> Outcome:
        """A verb that must succeed, timed."""
        began = time.monotonic()
        outcome = self.workspace.run(*arguments)
        self.takes = max(self.takes, time.monotonic() - began)
        assert outcome.exit_code == 0, outcome.text
        assert "damaged" not in outcome.text
        return outcome

    def kill(self, *arguments: str) -> None:
        """Kills a verb, and only its own process, at a random moment."""
        after = self.rng.uniform(0, self.takes)
        print(f"killed after {after:.3f} s")
        with self.workspace.start(*arguments, start_new_session=True) as process:
            time.sleep(after)
            process.kill()
        assert self.trace.left() == []

    def is_in_order(self) -> None:
        """Nothing in the cache is damaged, nothing unfinished lies about."""
        cache = DiskCache(self.workspace.cache)
        assert verify(cache) == []
        assert [*self.workspace.root.rglob(".tmp-*"), *cache.tmp.iterdir()] == []


@pytest.fixture
def rng() -> random.Random:
    seed = int(os.environ.get("TRITONBUILD_TEST_SEED") or random.randrange(10**9))
    print(f"TRITONBUILD_TEST_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def victim(workspace: MakeWorkspace, rng: random.Random) -> Iterator[Victim]:
    """Its image is built."""
    with traced(carrying(workspace({}))) as trace:
        victim = Victim(trace, rng, "")
        victim.run("build", SERVER)
        victim.digest = valid(victim.layout)
        yield victim


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def client(docker_daemon: Dockerd) -> Iterator[DockerClient]:
    client = docker_daemon.client()
    yield client
    client.close()


def test_after_a_killed_build_the_next_one_makes_the_same_image(victim: Victim) -> None:
    for _ in range(TIMES):
        forget_everything(victim.workspace)
        victim.kill("build", SERVER)
        victim.run("build", SERVER)
        assert valid(victim.layout) == victim.digest
        victim.is_in_order()


def test_after_a_killed_push_the_next_one_sends_what_is_missing(victim: Victim, host: str) -> None:
    victim.takes = 0
    with faulty(host) as proxy:
        victim.run("push", SERVER, f"--to={proxy.host}/acme/first:v1")
    everything = sorted(uploaded(proxy))
    for number in range(TIMES):
        # A registry of another name: nothing is known that could be mounted there.
        with faulty(host) as proxy:
            name = f"{proxy.host}/acme/killed{number}:v1"
            victim.kill("push", SERVER, f"--to={name}")
            before = len(uploaded(proxy))
            print(f"{before} of {len(everything)} blobs were there")
            victim.run("push", SERVER, f"--to={name}")
        assert sorted(uploaded(proxy)) == everything
        assert valid_in_registry(f"{host}/acme/killed{number}:v1") == victim.digest
    victim.is_in_order()


def test_after_a_killed_pull_the_next_one_is_whole(victim: Victim, host: str) -> None:
    name = f"{host}/acme/pulled:v1"
    victim.run("push", SERVER, f"--to={name}")
    victim.takes = 0
    victim.run("pull", name, "pulled")
    for _ in range(TIMES):
        shutil.rmtree(victim.workspace.root / "pulled")
        victim.kill("pull", name, "pulled")
        if not (victim.workspace.root / "pulled").exists():
            victim.run("pull", name, "pulled")
        assert valid(victim.workspace.root / "pulled") == victim.digest
    victim.is_in_order()


def test_after_a_killed_load_the_daemon_has_all_of_it_or_nothing(
    victim: Victim, docker_daemon: Dockerd, client: DockerClient
) -> None:
    victim.workspace.environment["DOCKER_HOST"] = docker_daemon.host
    own, name = identity(victim.layout), f"acme/killed:{secrets.token_hex(8)}"
    victim.takes = 0
    victim.run("load", SERVER, f"--to={name}")
    for _ in range(TIMES):
        client.images.remove(own, force=True)
        victim.kill("load", SERVER, f"--to={name}")
        try:
            found = client.images.get(name)
        except ImageNotFound:
            found = None
        assert found is None or found.id == own
        victim.run("load", SERVER, f"--to={name}")
        assert client.images.get(name).id == own
    client.images.remove(own, force=True)
    victim.is_in_order()

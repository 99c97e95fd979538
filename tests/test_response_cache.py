"""Response caches: which one a server has, and what it is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from parts.models import Asked, ask, io, scale, tree_of_models
from parts.tree import Tree
from tritonbuild.rules.component import CacheInfo
from tritonbuild.rules.server.layout import cache_flag

from tritonbuild.errors import ExitCode, Problem
from tritonbuild.label import Label

MODEL = f"""
[models.m]
backend = "python"
versions = {{ 1 = "code" }}
caches = ["local"]
[models.m.config]
{io(3)}
"""


@pytest.fixture
def tree(tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    files: dict[str, str | bytes] = {"p/code/model.py": scale(2), "p/triton.toml": MODEL}
    return tree_of_models(tmp_path / "workspace", shared_cache, monkeypatch, files)


def declare(tree: Tree, caches: str) -> None:
    """In the root's manifest, instead of what stands there."""
    manifest = (tree.root / "triton.toml").read_text()
    tree.write({"triton.toml": manifest.replace("[caches.local]\n", caches)})


def wrong(tree: Tree, label: str) -> Problem:
    code, (problem,) = tree.problems(label)
    assert code == ExitCode.ANALYSIS_FAILED
    return problem


def test_a_request_that_was_asked_before_is_answered_from_it(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def body(server: Asked) -> None:
        for _ in range(3):
            assert server.infer("m", "x", [1, 2, 3]) == {"y": [2, 4, 6]}
        told = server.statistics("m")["inference_stats"]
        assert (told["cache_miss"]["count"], told["cache_hit"]["count"]) == (1, 2)

    ask(tree, "//p:m", monkeypatch, body)


def test_a_config_may_do_without(tree: Tree) -> None:
    tree.write({"p/triton.toml": f"{MODEL}response_cache = {{ enable = false }}\n"})
    tree.build("//p:m")
    assert b"enable: true" not in tree.made("//p:m")["m/config.pbtxt"]


@pytest.mark.parametrize(
    ("said", "size"),
    [("", 64 << 20), ('config = { size = "1GiB" }', 1 << 30), ("config.size = 4096", 4096)],
)
def test_its_size_is_told_in_bytes(tree: Tree, said: str, size: int) -> None:
    declare(tree, f"[caches.local]\n{said}\n")
    info = tree.plan("//:local").targets[Label("", "local")].get(CacheInfo)
    assert info is not None
    assert dict(info.config) == {"size": str(size)}


def test_a_size_that_is_none_is_refused(tree: Tree) -> None:
    declare(tree, '[caches.local]\nconfig.size = "much"\n')
    problem = wrong(tree, "//:local")
    assert (problem.key, problem.found) == ("caches.local.config.size", "'much' is not a size")


@pytest.mark.parametrize("key", ["user", "password"])
def test_a_secret_in_a_manifest_is_refused(tree: Tree, key: str) -> None:
    declare(tree, f'[caches.redis]\nconfig = {{ host = "h", port = 6379, {key} = "x" }}\n')
    problem = wrong(tree, "//:redis")
    assert problem.key == f"caches.redis.config.{key}"
    assert "set TRITONCACHE_REDIS_" in problem.remedy


def test_secrets_come_from_the_environment_and_stand_in_no_flag(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRITONCACHE_REDIS_PASSWORD", "geheim")
    said = {"name": "redis", "config": {"port": "6379", "host": "h"}}
    assert cache_flag(said) == ("redis,host=h,port=6379", {"TRITONCACHE_REDIS_PASSWORD": "geheim"})
    said = {"name": "local", "config": {"size": "1"}}
    assert cache_flag(said) == ("local,size=1", {})


def test_a_model_wants_one_at_most(tree: Tree) -> None:
    declare(tree, "[caches.local]\n[caches.redis]\n")
    tree.write({"p/triton.toml": MODEL.replace('["local"]', '["local", "redis"]')})
    assert wrong(tree, "//p:m").found == "2 caches"


def test_two_models_of_one_server_want_the_same(tree: Tree) -> None:
    declare(tree, '[caches.local]\n[caches.other]\npath = "other"\n')
    other = MODEL.replace("models.m", "models.n").replace('["local"]', '["other"]')
    both = '[repositories.both]\nmodels = [":m", ":n"]\n[verifications.loads]\ntarget = ":both"\n'
    tree.write({"other/libtritoncache_other.so": b"", "p/triton.toml": f"{MODEL}{other}{both}"})
    found = wrong(tree, "//p:loads").found
    assert found == ("its models want 2 response caches: 'local' of //p:m, 'other' of //p:n")


def test_one_that_the_distribution_lacks_is_told(tree: Tree) -> None:
    declare(tree, "[caches.redis]\n")
    loads = '[verifications.loads]\ntarget = ":m"\n'
    tree.write({"p/triton.toml": MODEL.replace('["local"]', '["redis"]') + loads})
    assert wrong(tree, "//p:loads").found == "//:pypi has no 'redis' among its caches"


def test_one_of_one_s_own_is_taken_before_the_distribution_s(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken one, so that it shows which was taken."""
    declare(tree, '[caches.local]\npath = "own"\n')
    tree.write({"own/libtritoncache_local.so": b"no library"})
    with pytest.raises(Exception, match="file too short"):
        ask(tree, "//p:m", monkeypatch, lambda server: None)

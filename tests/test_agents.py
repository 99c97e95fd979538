"""Repository agents: the entries of the checksum agent, and agents in the server's folder."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT
from parts.models import Asked, ask, io, scale, tree_of_models
from parts.tree import Tree

from tritonbuild.errors import ActionError, ExitCode

MODEL = f"""
[models.m]
backend = "python"
versions = {{ 1 = "code" }}
labels = {{ y = "names.txt" }}
repoagents = REPOAGENTS
[models.m.config]
{io(3)}
"""
CHECKED = MODEL.replace("REPOAGENTS", '["checksum"]')


@pytest.fixture
def tree(tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    files: dict[str, str | bytes] = {
        "p/code/model.py": scale(2),
        "p/code/lib/more.py": "# more\n" * 100,
        "p/names.txt": "a\nb\nc\n",
        "p/triton.toml": CHECKED,
    }
    return tree_of_models(tmp_path / "workspace", shared_cache, monkeypatch, files)


def add_agent(tree: Tree) -> None:
    """Compiles an agent into the workspace."""
    folder = tree.root / "agent"
    folder.mkdir()
    library = folder / "libtritonrepoagent_checksum.so"
    source = ROOT / "tests/parts/checksum_agent.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", source, "-o", library, "-lm"], check=True)
    manifest = (tree.root / "triton.toml").read_text()
    said = '[repoagents.checksum]\npath = "agent"'
    tree.write({"triton.toml": manifest.replace("[repoagents.checksum]", said)})


def md5(content: str) -> str:
    return hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()


def test_the_config_has_the_md5_of_every_file_but_itself(tree: Tree) -> None:
    tree.build("//p:m")
    config = tree.made("//p:m")["m/config.pbtxt"].decode()
    for path, content in {
        "1/model.py": scale(2),
        "1/lib/more.py": "# more\n" * 100,
        "names.txt": "a\nb\nc\n",
    }.items():
        assert f'key: "MD5:{path}"\n      value: "{md5(content)}"' in config
    assert config.count("MD5:") == 3


def test_a_server_loads_a_model_whose_files_are_right(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_agent(tree)

    def body(server: Asked) -> None:
        assert server.infer("m", "x", [1, 2, 3]) == {"y": [2, 4, 6]}

    ask(tree, "//p:m", monkeypatch, body)


def test_a_server_refuses_a_model_whose_files_are_others(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_agent(tree)
    parameters = f'{{ "MD5:names.txt" = "{"0" * 32}" }}'
    said = f'[{{ agent = "checksum", parameters = {parameters} }}]'
    tree.write({"p/triton.toml": MODEL.replace("REPOAGENTS", said)})

    def body(server: Asked) -> None:
        raise AssertionError("it came up")

    with pytest.raises(ActionError, match=r"Mismatched MD5 hash for file names\.txt"):
        ask(tree, "//p:m", monkeypatch, body)


def test_an_edit_of_the_config_reads_no_files_again(tree: Tree) -> None:
    tree.build("//p:m")
    tree.write({"p/triton.toml": f'{CHECKED}parameters = {{ a = "{tree.root}" }}\n'})
    assert tree.build("//p:m").metrics.executed == 1


def test_an_edit_of_a_label_reads_no_weights_again(tree: Tree) -> None:
    actions = tree.plan("//p:m").actions
    inputs = {id.name: set(a.inputs) for id, a in actions.items() if id.name.startswith("md5")}
    assert inputs == {"md5 1": {"versions/1"}, "md5 files": {"labels/names.txt"}}


def test_an_agent_that_the_distribution_lacks_is_told_when_a_server_needs_it(tree: Tree) -> None:
    tree.write({"p/triton.toml": f'{CHECKED}[verifications.loads]\ntarget = ":m"\n'})
    code, (problem,) = tree.problems("//p:loads")
    assert code == ExitCode.ANALYSIS_FAILED
    assert problem.found == "//:pypi has no 'checksum' among its repoagents"
    assert "[repoagents.checksum] path = …" in problem.remedy


def test_an_agent_that_nobody_declares_is_told(tree: Tree) -> None:
    tree.write({"p/triton.toml": MODEL.replace("REPOAGENTS", '["checksums"]')})
    code, (problem,) = tree.problems("//p:m")
    assert code == ExitCode.USAGE
    assert problem.key == "models.m.repoagents[0]"
    assert problem.remedy == "did you mean 'checksum'?"


def test_agents_stand_in_the_config_in_their_order(tree: Tree) -> None:
    manifest = (tree.root / "triton.toml").read_text()
    tree.write({"triton.toml": f"{manifest}[repoagents.decrypt]\n[repoagents.log]\n"})
    said = '["log", { agent = "decrypt", parameters = { key = "k" } }, "checksum"]'
    tree.write({"p/triton.toml": MODEL.replace("REPOAGENTS", said)})
    tree.build("//p:m")
    config = tree.made("//p:m")["m/config.pbtxt"].decode()
    order = [config.index(f'name: "{name}"') for name in ("log", "decrypt", "checksum")]
    assert order == sorted(order)
    assert 'key: "key"\n      value: "k"' in config


def test_agents_of_the_config_that_nobody_names_are_refused(tree: Tree) -> None:
    agents = 'model_repository_agents { agents { name: "checksum" } }'
    manifest = MODEL.replace("repoagents = REPOAGENTS", 'config_file = "c.pbtxt"')
    tree.write({"p/c.pbtxt": agents, "p/triton.toml": manifest})
    code, (problem,) = tree.problems("//p:m")
    assert code == ExitCode.BUILD_FAILED
    assert problem.found.endswith('agents that `repoagents` does not name: "checksum"')
    assert problem.remedy == 'say repoagents = ["checksum"]'


def test_old_entries_of_a_config_file_are_made_anew(tree: Tree) -> None:
    entry = 'parameters { key: "MD5:1/gone" value: "0" }'
    agents = f'model_repository_agents {{ agents {{ name: "checksum" {entry} }} }}'
    said = '["checksum"]\nconfig_file = "c.pbtxt"'
    tree.write({"p/c.pbtxt": agents, "p/triton.toml": MODEL.replace("REPOAGENTS", said)})
    tree.build("//p:m")
    config = tree.made("//p:m")["m/config.pbtxt"].decode()
    assert "1/gone" not in config
    assert config.count("MD5:") == 3

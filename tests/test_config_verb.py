"""Of `tritonbuild config`: what it prints, what it compares with, and how it fails."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from conftest import COMMAND, ROOT, Outcome, WorkspaceFolder
from google.protobuf import json_format, text_format
from parts.bench import Bench
from parts.web import serve
from tritonbuild.rules.model_config.completion import Full
from tritonbuild.rules.model_config.message import as_dict, empty
from tritonbuild.rules.model_config.text import lines
from tritonbuild.rules.server import ports
from tritonbuild.rules.server.show import show_config

from tritonbuild.errors import Problem

PLAIN: dict[str, Any] = {
    "name": "plain",
    "version_policy": {"latest": {"num_versions": 1}},
    "max_batch_size": 8,
    "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [4]}],
    "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [4]}],
    "instance_group": [{"name": "plain", "count": 1, "kind": "KIND_CPU"}],
    "default_model_filename": "model.py",
    "dynamic_batching": {"preferred_batch_size": [8]},
    "optimization": {
        "input_pinned_memory": {"enable": True},
        "output_pinned_memory": {"enable": True},
    },
    "backend": "python",
}
NAMES = "name", "max_batch_size", "input[0].dims", "default_model_filename"


@pytest.fixture
def configured(tmp_path: Path, shared_cache: Path) -> WorkspaceFolder:
    shutil.copytree(ROOT / "tests" / "workspaces" / "configured", tmp_path / "configured")
    shutil.copy(ROOT / "examples" / "quickstart" / "triton.lock", tmp_path / "configured")
    return WorkspaceFolder(tmp_path / "configured", shared_cache)


def printed(workspace: WorkspaceFolder, *arguments: str) -> tuple[int, str, str]:
    """The exit code, standard output and standard error."""
    done = subprocess.run(
        [*COMMAND, "config", *arguments],
        cwd=workspace.root,
        env=workspace.env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout, done.stderr


def events(outcome: Outcome, kind: str) -> list[dict[str, Any]]:
    return [event for event in outcome.events if event["event"] == kind]


def parsed(text: str) -> Mapping[str, Any]:
    return as_dict(text_format.Parse(text, empty()))


def sources(text: str) -> dict[str, str]:
    """What stands beside each field that is printed, by the line without it."""
    told = (line.rpartition("  # ") for line in text.splitlines() if "  # " in line)
    return {line.strip(): source for line, _, source in told}


def test_the_full_config_is_printed_as_protobuf_text(configured: WorkspaceFolder) -> None:
    code, text, _ = printed(configured, "//:plain")
    assert code == 0
    assert parsed(text) == PLAIN


def test_a_source_stands_beside_each_field(configured: WorkspaceFolder) -> None:
    told = sources(printed(configured, ":plain")[1])
    assert told == {
        'name: "plain"': "default",  # its instance group's, which stands below
        "num_versions: 1": "default",
        "max_batch_size: 8": "manifest",
        'name: "x"': "file",
        "data_type: TYPE_FP32": "file",
        "dims: [4]": "file",
        'name: "y"': "file",
        "count: 1": "default",
        "kind: KIND_CPU": "default",
        'default_model_filename: "model.py"': "completed",
        "preferred_batch_size: [8]": "default",
        "enable: true": "default",
        'backend: "python"': "manifest",
    }


def test_what_only_a_server_knows_is_asked_once(configured: WorkspaceFolder) -> None:
    code, text, _ = printed(configured, ":grows")
    assert code == 0
    assert parsed(text)["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": [4]}]
    assert sources(text)["dims: [-1]"] == "server"
    assert sources(text)["max_batch_size: 4"] == "manifest"
    again = configured.run("config", ":grows")
    assert again.executed == 0


def test_without_a_server_it_says_what_is_not_known(configured: WorkspaceFolder) -> None:
    code, text, told = printed(configured, ":grows", "--offline")
    assert code == 0
    assert "input" not in parsed(text)
    assert "# not all is known without a server" in text
    assert "note: //:grows: not all is known without a server" in told


def test_of_a_repository_every_model_is_printed(configured: WorkspaceFolder) -> None:
    _, text, _ = printed(configured, ":both")
    grows, plain = text.split("# //:plain\n")
    assert grows.startswith("# //:grows\n")
    assert parsed(grows)["name"] == "grows"
    assert parsed(plain) == PLAIN


def test_programs_get_an_event(configured: WorkspaceFolder) -> None:
    (event,) = events(configured.run("config", ":plain"), "config")
    assert (event["label"], event["model"], event["config"]) == ("//:plain", "plain", PLAIN)
    assert {name: event["sources"][name] for name in NAMES} == {
        "name": "manifest",
        "max_batch_size": "manifest",
        "input[0].dims": "file",
        "default_model_filename": "completed",
    }
    assert event["unknown"] == []
    assert event["advice"] == []


def test_advice_goes_to_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench(tmp_path)
    config = text_format.Parse('name: "m"', empty())
    advice = Problem("not likely meant", "something else", key="config.input[0]")
    full = Full(config, {("name",): "manifest"}, [], [advice])
    model = {"label": "//:m", "name": "m", "environment": False, "unasked": []}
    settings = {"diff": "", "model": "", "as_json": False, "colour": False, "offline": False}
    made = bench.run(
        show_config,
        parameters={"models": [model], **settings},
        inputs={"configs/m": bench.file(full.to_json())},
        outputs=[],
    )
    assert capsys.readouterr().out == 'name: "m"  # manifest\n'
    assert made.log is not None
    assert bench.read(made.log) == (
        "advice: //:m: config.input[0]: not likely meant\n  expected: something else\n"
    )


def test_nothing_is_put_out(configured: WorkspaceFolder) -> None:
    configured.run("config", ":plain")
    assert not configured.output("").exists()


def test_a_terminal_gets_colours(configured: WorkspaceFolder) -> None:
    terminal, end = pty.openpty()
    done = subprocess.run(
        [*COMMAND, "config", ":plain"],
        cwd=configured.root,
        env={**configured.env, "NO_COLOR": ""},
        stdout=end,
        stderr=subprocess.PIPE,
    )
    os.close(end)
    with open(terminal, "rb", closefd=True) as shown:
        text = shown.read1(1 << 16).decode()
    assert done.returncode == 0
    assert "\x1b[32m# manifest\x1b[0m" in text


def test_that_nobody_reads_on_is_no_failure(configured: WorkspaceFolder) -> None:
    process = configured.start("config", ":plain")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(300) == 0


FULL = json.dumps(PLAIN)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("other.json", FULL),
        ("other.pbtxt", 'input { name: "x" data_type: TYPE_FP32 dims: 4 } output { name: "y" '
                        "data_type: TYPE_FP32 dims: 4 } max_batch_size: 8 dynamic_batching {}"),
    ],
)  # fmt: skip
def test_a_file_that_means_the_same_does_not_differ(
    configured: WorkspaceFolder, name: str, content: str
) -> None:
    configured.write({name: content})
    assert printed(configured, ":plain", "--diff", name)[:2] == (0, "")


def test_differences_are_told_field_by_field(configured: WorkspaceFolder) -> None:
    other = {**PLAIN, "max_batch_size": 2, "platform": "x", "default_model_filename": ""}
    configured.write({"other.json": json.dumps(other)})
    code, text, _ = printed(configured, ":plain", "--diff", "other.json")
    assert code == 3
    assert text.splitlines() == [
        "- max_batch_size: 2",
        "+ max_batch_size: 8",
        '+ default_model_filename: "model.py"',
        '- platform: "x"',
    ]
    outcome = configured.run("config", ":plain", "--diff", "other.json")
    assert outcome.exit_code == 3
    (event,) = events(outcome, "difference")
    assert event["fields"][0] == {"key": "max_batch_size", "theirs": "2", "ours": "8"}


def test_the_order_of_inputs_makes_no_difference(configured: WorkspaceFolder) -> None:
    io = {"name": "z", "data_type": "TYPE_FP32", "dims": [1]}
    configured.write({"other.json": json.dumps({**PLAIN, "input": [io, *PLAIN["input"]]})})
    text = printed(configured, ":plain", "--diff", "other.json")[1]
    assert text.splitlines() == [
        '- input[1].name: "z"',
        "- input[1].data_type: TYPE_FP32",
        "- input[1].dims: [1]",
    ]


def test_a_running_server_is_compared_with(configured: WorkspaceFolder) -> None:
    answers = {"plain": (200, FULL.encode()), "other": (200, b'{"name": "other"}')}

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        return answers.get(handler.path.split("/")[3], (404, b'{"error": "unknown model"}'))

    with serve(answer) as web:
        url = web.url("").rstrip("/")
        assert printed(configured, ":plain", "--diff", url)[:2] == (0, "")
        code, text, _ = printed(configured, ":plain", "--diff", url, "--model", "other")
        assert (code, text.splitlines()[:2]) == (3, ['- name: "other"', '+ name: "plain"'])
        outcome = configured.run("config", ":plain", "--diff", url, "--model", "none")
        assert (outcome.exit_code, outcome.error["file"]) == (2, "")
        assert (
            outcome.error["found"] == f"{url} has no config of 'none' (status 404: unknown model)"
        )


def test_a_server_that_the_build_starts_has_the_same_configs(configured: WorkspaceFolder) -> None:
    with ports.free() as free:
        settings = [f"--set={name}_port={port}" for name, port in free._asdict().items()]
        process = configured.start("run", ":loadable", *settings)
        assert process.stderr is not None
        said = b""
        while b"\nmetrics " not in said:  # the last line before it serves
            line = process.stderr.readline()
            assert line, said.decode()
            said += line
        try:
            url = f"http://127.0.0.1:{free.http}"
            assert printed(configured, ":loadable", "--diff", url)[:2] == (0, "")
        finally:
            process.kill()
            process.communicate()


def test_a_server_that_is_not_there_is_told(configured: WorkspaceFolder) -> None:
    outcome = configured.run("config", ":plain", "--diff", "http://127.0.0.1:9")
    assert (outcome.exit_code, outcome.error["file"]) == (36, "")
    assert outcome.error["found"].startswith("http://127.0.0.1:9 does not answer: ")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("max_batch_sise: 8", 'column 1: Message type "inference.ModelConfig" has no field'),
        ('{"name": 3}', "holds no ModelConfig: Failed to parse name"),
        ('{"name"', "holds no ModelConfig: Expecting"),
        (None, "cannot be read: No such file"),
    ],
)
def test_what_is_no_config_is_told(
    configured: WorkspaceFolder, content: str | None, found: str
) -> None:
    if content is not None:
        configured.write({"other": content})
    outcome = configured.run("config", ":plain", "--diff", "other")
    assert outcome.exit_code == 2
    assert found in outcome.error["found"]


def test_one_file_is_not_compared_with_several_models(configured: WorkspaceFolder) -> None:
    configured.write({"other.json": FULL})
    outcome = configured.run("config", ":both", "--diff", "other.json")
    assert outcome.exit_code == 2
    assert "here are several" in outcome.error["found"]


def test_why_a_server_does_not_load_it_is_told(configured: WorkspaceFolder) -> None:
    outcome = configured.run("config", ":fails")
    assert outcome.exit_code == 1
    assert outcome.error["key"] == "models.fails"
    found = outcome.error["found"]
    assert found.startswith("model 'fails' version 1: ValueError: no pipeline here (fails/")


@pytest.mark.parametrize(
    ("arguments", "code", "found"),
    [
        ((":none",), 2, "// has no target 'none'"),
        ((":pypi",), 7, "a target of this rule has no config to show"),
        ((":plain", "--model", "x"), 2, "--model without --diff"),
        ((":plain", "--ask", "--offline"), 2, "--ask and --offline"),
    ],
)
def test_what_has_no_config_is_told(
    configured: WorkspaceFolder, arguments: tuple[str, ...], code: int, found: str
) -> None:
    outcome = configured.run("config", *arguments)
    assert (outcome.exit_code, outcome.error["found"]) == (code, found)


def test_every_leaf_of_a_config_is_a_line_of_its_own() -> None:
    text = """
    input { name: "é\\"" dims: [1, -1] reshape {} }
    cc_model_filenames { key: "7.5" value: "t4.plan" }
    dynamic_batching { priority_queue_policy { key: 2 value { max_queue_size: 1 } } }
    parameters { key: "empty" value {} }
    """
    config = text_format.Parse(text, empty())
    told = list(lines(config))
    assert {line.path: line.value for line in told if line.path} == {
        ("input", 0, "name"): '"é\\""',
        ("input", 0, "dims"): "[1, -1]",
        ("input", 0, "reshape"): "{}",
        ("cc_model_filenames", "7.5"): '"t4.plan"',
        ("dynamic_batching", "priority_queue_policy", "2", "max_queue_size"): "1",
        ("parameters", "empty"): "{}",
    }
    again = text_format.Parse("\n".join(line.text for line in told), empty())
    assert json_format.MessageToDict(again) == json_format.MessageToDict(config)


@pytest.mark.parametrize("model", ["plain", "grows"])
def test_without_a_server_that_can_be_asked_what_files_tell_is_enough(
    configured: WorkspaceFolder, model: str
) -> None:
    manifest = (configured.root / "triton.toml").read_text()
    agent = f'[models.{model}]\nrepoagents = ["checksum"]'
    manifest = manifest.replace(f"[models.{model}]", agent) + "[repoagents.checksum]\n"
    configured.write({"triton.toml": manifest})
    code, text, said = printed(configured, f":{model}")
    if model == "plain":
        assert (code, 'name: "plain"' in text) == (0, True), said
    else:
        assert (code, text) == (7, "")
        assert "no 'checksum' among its repoagents" in said
        assert "--offline" in said
    assert printed(configured, f":{model}", "--offline")[0] == 0
    assert printed(configured, f":{model}", "--ask")[0] == 7

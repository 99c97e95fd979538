"""Golden cases of models that are not asked just once and answer just once, on a real server."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Outcome, WorkspaceFolder
from tritonbuild.rules.server.launch import FromLayout
from tritonbuild.rules.server.layout import lay_out
from tritonbuild.rules.server.process import Server, server
from tritonbuild.rules.verify.cases import Case, Request, read, write
from tritonbuild.rules.verify.check import check
from tritonbuild.rules.verify.client import Client, InferenceError, client
from tritonbuild.rules.verify.known import known
from tritonbuild.rules.verify.record import recorded
from tritonbuild.rules.verify.tensors import Tensor, from_array

from tritonbuild.cancel import Cancellation
from tritonbuild.label import Label
from tritonbuild.rule import ToolContext, tool
from tritonbuild.serve import serve
from tritonbuild.session import Session

CONVERSATIONS = ROOT / "tests" / "workspaces" / "conversations"


@pytest.fixture
def conversations(tmp_path: Path, shared_cache: Path) -> WorkspaceFolder:
    ignored = shutil.ignore_patterns("tritonbuild-out")
    shutil.copytree(CONVERSATIONS, tmp_path / "conversations", ignore=ignored)
    shutil.copy(ROOT / "examples" / "quickstart" / "triton.lock", tmp_path / "conversations")
    return WorkspaceFolder(tmp_path / "conversations", shared_cache)


def scalar(name: str, value: object, dtype: str = "i4") -> Tensor:
    return from_array(name, np.array([value], dtype))


def repeats(count: int, *responses: tuple[Tensor, ...], error: bool = False) -> Case:
    inputs = [scalar("count", count), scalar("word", b"a", "S1")]
    if error:
        inputs.append(scalar("error", True, "?"))
    return Case((Request(tuple(inputs), responses, streams=True),), model="repeats")


def sums(model: str, *steps: tuple[int, int | None]) -> Case:
    """Of value and sum; None: not looked at."""
    requests = []
    for value, sum in steps:
        outputs = () if sum is None else (from_array("sum", np.array([[sum]], np.int64)),)
        requests.append(Request((from_array("value", np.array([[value]])),), (outputs,)))
    return Case(tuple(requests), sequence=True, model=model)


def wrong(workspace: WorkspaceFolder, target: str, **cases: Case) -> Outcome:
    """A test of a model with these cases, and no others."""
    verification = {"kind": "golden", "target": target, "cases": "wrong/*", "timeout": 15}
    lines = [f"{key} = {json.dumps(value)}" for key, value in verification.items()]
    manifest = (workspace.root / "triton.toml").read_text()
    workspace.write({"triton.toml": "\n".join([manifest, "[verifications.wrong]", *lines])})
    for name, case in cases.items():
        suffix, content = write(case)
        workspace.write({f"wrong/{name}{suffix}": content})
    return workspace.run("test", "//:wrong")


def told(outcome: Outcome) -> dict[str, tuple[str, str]]:
    """By case and key: found and expected."""
    return {
        f"{Path(error['file']).stem}: {error['key']}": (error["found"], error["expected"])
        for error in outcome.errors
    }


def test_cases_of_every_kind_pass(conversations: WorkspaceFolder) -> None:
    outcome = conversations.run("test", "//:all_answer", "--no-cached-results")
    assert outcome.exit_code == 0, outcome.text
    result = json.loads(conversations.output("_/all_answer/result.json").read_bytes())
    passed = {each["name"]: each["model"] for each in result["outcomes"]}
    assert len(passed) == len(list(CONVERSATIONS.glob("cases/*"))) == 12
    assert passed["cases/repeats_in_steps.json"] == "repeats_in_steps"


def test_the_same_cases_in_arrays_pass(conversations: WorkspaceFolder) -> None:
    case_npz = import_module("tritonbuild.rules.verify.case_npz")
    for file in (conversations.root / "cases").iterdir():
        file.with_suffix(".npz").write_bytes(case_npz.write(read(file, file.name)))
        file.unlink()
    outcome = conversations.run("test", "//:all_answer", "--no-cached-results")
    assert outcome.exit_code == 0, outcome.text


def test_values_that_json_cannot_hold_come_back_as_they_are(
    conversations: WorkspaceFolder,
) -> None:
    shutil.rmtree(conversations.root / "cases")
    odd = {
        "bf16": np.array([0x7FC1, 0x8000, 0x3F81], "<u2").view("V2"),
        "fp16": np.array([0x7E01, 0x0001], "<u2").view("<f2"),
        "fp32": np.array([0x7FC00001, 0x80000000], "<u4").view("<f4"),
        "fp64": np.array([5e-324, -np.inf]),
        "int64": np.array([-(2**63)]),
        "uint64": np.array([2**64 - 1], np.uint64),
        "bytes": np.array([b"\xff\xfe", b"", b"\x80"]),
        "bool": np.array([[True, False]]),
    }
    sides = {f"{side}/{name}": v for side in ("inputs", "outputs") for name, v in odd.items()}
    (conversations.root / "cases").mkdir()
    np.savez(conversations.root / "cases" / "odd.npz", model="same", **sides)  # type: ignore[arg-type]  # by name
    outcome = conversations.run("test", "//:all_answer", "--no-cached-results")
    assert outcome.exit_code == 0, outcome.text


def test_what_is_wrong_with_streamed_responses_is_told(conversations: WorkspaceFolder) -> None:
    index = [(scalar("index", number),) for number in range(4)]
    outcome = wrong(
        conversations,
        "//:repeats",
        more=repeats(3, *index[:2]),
        many_more=repeats(5000),
        fewer=repeats(1, *index[:3]),
        none=repeats(0, index[0]),
        order=repeats(2, index[1], index[0]),
        fails=repeats(2, *index[:3], error=True),
        fails_at_once=repeats(0, error=True),
        right=repeats(2, *index[:2]),
        silent=repeats(-1, *index[:2]),
    )
    assert outcome.exit_code == 3, outcome.text
    (silence,) = (error for error in outcome.errors if error["file"] == "wrong/silent.json")
    assert silence["remedy"].endswith("with TRITONSERVER_RESPONSE_COMPLETE_FINAL")
    assert told(outcome) == {
        "more: responses": ("3 responses came", "2 responses"),
        "many_more: responses": ("at least 1000 responses came", "no responses"),
        "fewer: responses": ("one response came", "3 responses"),
        "none: responses": ("no responses came", "one response"),
        "order: responses[0].index": ("0 at [0]", "1"),
        "order: responses[1].index": ("1 at [0]", "0"),
        "fails: ": ("no more than 2 (after 2 of 3 responses)", ""),
        "silent: ": ("no answer within 15 s (after 1 of 2 responses)", ""),
        "fails_at_once: ": ("no more than 0 (after 0 of 0 responses)", ""),
    }


@pytest.mark.parametrize("model", ["sums", "sums_oldest"])
def test_sequences_do_not_disturb_each_other(conversations: WorkspaceFolder, model: str) -> None:
    outcome = wrong(
        conversations,
        f"//:{model}",
        a_fails=sums(model, (1, 1), (-1, 0), (1, 1), (1, 1)),
        b_fails=sums(model, (1, 1), (-1, 0), (1, 1), (1, 1)),
        c_fails=sums(model, (-1, 0), (1, 1)),
        d_differs=sums(model, (1, 1), (2, 4), (3, 6), (4, None), (5, 14)),
        right=sums(model, (2, 2), (3, None), (4, 9)),
    )
    assert outcome.exit_code == 3, outcome.text
    assert told(outcome) == {
        "a_fails: sequence[1]": ("-1 is not summed up", ""),
        "b_fails: sequence[1]": ("-1 is not summed up", ""),
        "c_fails: sequence[0]": ("-1 is not summed up", ""),
        "d_differs: sequence[1].outputs.sum": ("3 at [0, 0]", "4"),
        "d_differs: sequence[4].outputs.sum": ("15 at [0, 0]", "14"),
    }


def test_cases_that_cannot_be_asked_end_the_build_before_a_server_starts(
    conversations: WorkspaceFolder,
) -> None:
    one = Request((scalar("x", 1),), ((scalar("y", 1),),))
    word = scalar("word", b"a", "S1")
    outcome = wrong(
        conversations,
        "//:all",
        a=Case((Request((scalar("count", 1), word), ((word,),)),), model="repeats"),
        b=Case((one, one), sequence=True, model="maybe"),
        c=Case((Request(one.inputs, ((), ()), streams=True),), model="maybe"),
        d=Case((Request((scalar("value", 1, "i8"),), ((word,),)),), model="sums"),
        e=Case(
            (Request((scalar("COUNT", 1),), ((scalar("INDEX", 1),),)),), model="repeats_in_steps"
        ),
        f=Case((one,)),
        g=Case((one,), model="maybee"),
    )
    assert outcome.exit_code == 1, outcome.text
    assert outcome.targets["//:wrong"] == "failed"
    assert not conversations.output("_/wrong").exists()
    assert {place: found for place, (found, _) in told(outcome).items()} == {
        "a: outputs": "\"outputs\" of model 'repeats', which is decoupled",
        "b: sequence": "a sequence for model 'maybe', which has no sequence_batching",
        "c: responses": "2 responses of model 'maybe', which is not decoupled",
        "d: ": "a single request to model 'sums', which has sequence_batching",
        "d: inputs.value": "shape [1] is given",
        "d: outputs.word": "model 'sums' has no output 'word'",
        "e: outputs": "\"outputs\" of model 'repeats_in_steps', which is decoupled",
        "e: inputs": "input 'WORD' is missing",
        "f: ": "the case does not say which model it is for",
        "g: model": "the target has no model 'maybee'",
    }
    assert {error["label"] for error in outcome.errors} == {"//:wrong"}


def test_what_a_running_server_answers_can_be_recorded(
    conversations: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {
        "repeats": repeats(2),
        "sums": sums("sums", (1, None), (2, None)),
        "sums_oldest": sums("sums_oldest", (3, None), (4, None)),
        "same": read(CONVERSATIONS / "cases" / "same.json", "same.json"),
    }
    answers: dict[str, Case] = {}

    def record(client: Client, running: Server) -> None:
        for model, case in asked.items():
            answers[model] = recorded(client, case, model)
        with pytest.raises(InferenceError, match="more than 1000 responses came"):
            recorded(client, repeats(1001), "repeats")

    serving(conversations, "all", record, monkeypatch)
    repeated = answers["repeats"].requests[0]
    assert [[t.name for t in response] for response in repeated.responses] == [
        ["index", "word"]
    ] * 2
    for model, totals in {"sums": [1, 3], "sums_oldest": [3, 7]}.items():
        assert [r.outputs[0].values.item() for r in answers[model].requests] == totals
    assert write(answers["same"]) == write(asked["same"])
    shutil.rmtree(conversations.root / "cases")
    for model, case in answers.items():
        suffix, content = write(case)
        conversations.write({f"cases/{model}{suffix}": content})
    outcome = conversations.run("test", "//:all_answer", "--no-cached-results")
    assert outcome.exit_code == 0, outcome.text


def test_what_is_refused_beforehand_is_what_the_server_refuses(
    conversations: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = [(1, 2), (3, 2), (4, 2), (0, 2), (2,), (1, 3), (1, 1, 2), ()]
    xs = [*(from_array("x", np.zeros(shape, "f4")) for shape in shapes)]
    xs.append(from_array("x", np.zeros((1, 2), "f8")))
    more = [from_array("more", np.full(shape, "a")) for shape in ((1,), (1, 1), (3, 1), (2,))]
    other = [from_array("other", np.zeros((1, 1), "f4"))]
    cases = [
        Case((Request(tuple(given for given in inputs if given), ((),)),), model=model)
        for model in ("takes", "takes_batches")
        for inputs in itertools.product([None, *xs], [None, *more], [None, *other])
    ]

    verdicts: list[tuple[Case, list[str], str]] = []

    def ask(client: Client, running: Server) -> None:
        models = {name: client.config(name) for name in ("takes", "takes_batches")}
        told = known({name: (config, True) for name, config in models.items()}, {})
        for case in cases:
            ours = [str(problem) for problem in check(case, case.model, told[case.model])]
            try:
                list(client.ask(case.requests[0], case.model))
                theirs = ""
            except InferenceError as error:
                theirs = str(error)
            verdicts.append((case, ours, theirs))

    serving(conversations, "takers", ask, monkeypatch)
    assert not [verdict for verdict in verdicts if bool(verdict[1]) != bool(verdict[2])]
    assert len([verdict for verdict in verdicts if not verdict[1]]) > 10


def test_a_server_that_dies_between_responses_is_what_is_told(
    conversations: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(client: Client, running: Server) -> None:
        responses = client.ask(repeats(-2).requests[0], "repeats")
        assert next(responses)["index"].values.item() == 0
        os.kill(running.process.pid, signal.SIGKILL)
        with pytest.raises(InferenceError, match=r"tritonserver ended \(SIGKILL\)"):
            list(responses)

    serving(conversations, "repeats", ask, monkeypatch)


def serving(
    workspace: WorkspaceFolder, target: str, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls `ask` with a client of a server that serves the target, and with that."""

    def body(ctx: ToolContext) -> None:
        layout, log = lay_out(ctx, ctx.scratch / "server"), ctx.scratch / "log"
        with (
            server(ctx, FromLayout(layout), log, timeout=60) as running,
            client(running.grpc, 30, layout.places, lambda: running.gone) as asking,
        ):
            ask(asking, running)

    module = import_module("tritonbuild.rules.server.serve")
    monkeypatch.setattr(module, "serve", tool("serve", version=1)(body))
    monkeypatch.setenv("TRITONBUILD_CACHE_DIR", str(workspace.cache))
    with Session(workspace.root, lambda event: None, Cancellation()) as session:
        report = serve(session, Label("", target), {})
    assert not report.exit_code, report.problems

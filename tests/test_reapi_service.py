"""Our encoding of actions, judged by a real Remote Execution service and the API's own messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from parts.casd import casd
from parts.remote_apis import EXECUTION, Client, load

from tritonbuild.action import Action, ActionId, Encoded, Literal, Program, Source, encode
from tritonbuild.digest import Digest
from tritonbuild.label import Label
from tritonbuild.merkle import Entry, File, Folder, Symlink, folder_of
from tritonbuild.reapi import actions_pb2

DATA = b"three\nlines\nof data\n"
TOOL = b'#!/bin/sh\necho "$GREETING $1"\n'
NOTE = b"said in a manifest"
ROOT: dict[str, Entry] = {
    "/bin": Symlink("usr/bin"),
    "/lib": Symlink("usr/lib"),
    "/lib64": Symlink("usr/lib64"),
}
"""With the host's /usr bound in: what a shell needs."""
SCRIPT = """
set -e
cat data/input.txt note.txt > out/put.txt
mkdir made
cp -a data made/copy
data/said there > made/said
chmod +x made/said
"""
DEADLINE_EXCEEDED = 4
INVALID_ARGUMENT = 3


@pytest.fixture(scope="module")
def service() -> Iterator[Client]:
    with casd() as channel:
        yield Client(channel)


def file(content: bytes, executable: bool = False) -> File:
    return File(Digest.of_bytes(content), executable)


DATA_FOLDER = folder_of(
    {
        "input.txt": file(DATA),
        "tools/say": file(TOOL, executable=True),
        "said": Symlink("tools/say"),
        "nothing": Folder(),
    }
)
ENTRIES: dict[str, Entry] = {**ROOT, "data": DATA_FOLDER, "note.txt": file(NOTE)}
CONTENTS = {Digest.of_bytes(content): content for content in (DATA, TOOL)}


def shell(script: str, *outputs: str, **more: Any) -> Encoded:
    """An action that runs a script beside a data folder and a file of literal content."""
    inputs = {path: Source(path) for path in ENTRIES} | {"note.txt": Literal(NOTE, "note")}
    environment: Mapping[str, str] = {"PATH": "/usr/bin", "GREETING": "hello"}
    action = Action(
        ActionId(Label("", "made"), "run"),
        Program(("/bin/sh", "-c", script), environment),
        inputs,
        outputs,
    )
    return encode(replace(action, **more), ENTRIES)


def run(service: Client, encoded: Encoded) -> Any:
    """An ExecuteResponse, after an upload of what the service lacks."""
    blobs = {**CONTENTS, **encoded.messages()}
    missing = service.missing(blobs)
    service.upload({digest: blobs[digest] for digest in missing})
    return service.execute(encoded.key)


@pytest.fixture(scope="module")
def built(service: Client) -> tuple[Encoded, Any]:
    """The main action and what the service answered to it."""
    encoded = shell(SCRIPT, "out/put.txt", "made")
    return encoded, run(service, encoded)


def tree(service: Client, result: Any) -> Folder:
    (directory,) = result.output_directories
    return Folder.from_tree(service.read(directory.tree_digest))


def test_an_encoded_action_runs(built: tuple[Encoded, Any]) -> None:
    _, response = built
    assert response.status.code == 0, response.status.message
    assert response.result.exit_code == 0


def test_an_output_file_has_the_digest_that_we_compute(built: tuple[Encoded, Any]) -> None:
    (output,) = built[1].result.output_files
    assert output.path == "out/put.txt"
    assert Digest(output.digest.hash, output.digest.size_bytes) == Digest.of_bytes(DATA + NOTE)


def test_an_output_folder_is_read_as_a_folder(service: Client, built: tuple[Encoded, Any]) -> None:
    expected: dict[str, Entry] = {
        "copy": DATA_FOLDER,
        "said": file(b"hello there\n", executable=True),
    }
    assert tree(service, built[1].result).digest == Folder(expected).digest


def test_a_folder_that_the_service_captured_has_our_bytes(
    service: Client, built: tuple[Encoded, Any]
) -> None:
    """The service encodes a copied input folder by itself, canonically."""
    copy = tree(service, built[1].result).get("copy")
    assert isinstance(copy, Folder)
    assert copy.encoded == DATA_FOLDER.encoded


def test_the_result_is_found_under_our_key(service: Client, built: tuple[Encoded, Any]) -> None:
    encoded, response = built
    found = service.result(encoded.key)
    assert found.output_files == response.result.output_files
    assert found.output_directories == response.result.output_directories


def test_the_service_parses_what_we_wrote(service: Client) -> None:
    """Every field arrives as a field of that name; none is unknown to the API."""
    encoded = shell(SCRIPT, "out/put.txt", "made", timeout=1.5, cacheable=False)
    action = service.api.Action.FromString(encoded.action)
    command = service.api.Command.FromString(encoded.command)
    action_digest = action.SerializeToString(deterministic=True)
    assert Digest.of_bytes(action_digest) == encoded.key
    assert command.SerializeToString(deterministic=True) == encoded.command
    assert (action.timeout.ToMilliseconds(), action.do_not_cache) == (1500, True)
    assert list(command.output_paths) == ["made", "out/put.txt"]
    assert [item.name for item in command.environment_variables] == ["GREETING", "PATH"]
    assert command.platform == action.platform


@pytest.mark.parametrize("name", sorted(actions_pb2.DESCRIPTOR.message_types_by_name))
def test_our_messages_have_the_fields_of_the_api(name: str) -> None:
    ours = actions_pb2.DESCRIPTOR.message_types_by_name[name]
    theirs = load(f"{EXECUTION}_pb2").DESCRIPTOR.message_types_by_name[name]

    def described(field: FieldDescriptor) -> tuple[int, int, bool, str]:
        kind = field.message_type.name if field.message_type else ""
        return field.number, field.type, field.is_repeated, kind

    for field_name, field in ours.fields_by_name.items():
        assert described(field) == described(theirs.fields_by_name[field_name])


def test_a_folder_in_another_order_has_another_key(
    service: Client, built: tuple[Encoded, Any]
) -> None:
    """What a wrong encoding would do: the service knows no result for it."""
    encoded, _ = built
    directory = service.api.Directory.FromString(encoded.root.encoded)
    links = list(reversed(directory.symlinks))
    del directory.symlinks[:]
    directory.symlinks.extend(links)
    action = service.api.Action.FromString(encoded.action)
    unsorted = directory.SerializeToString(deterministic=True)
    action.input_root_digest.CopyFrom(service.digest(Digest.of_bytes(unsorted)))
    key = Digest.of_bytes(action.SerializeToString(deterministic=True))
    assert len(links) > 1
    assert service.result(key) is None


def test_a_blob_under_a_wrong_digest_is_refused(service: Client) -> None:
    assert service.upload({Digest.of_bytes(b"one"): b"two"}) == {INVALID_ARGUMENT}


def test_a_timeout_is_enforced_by_the_service(service: Client) -> None:
    response = run(service, shell("sleep 60", timeout=1))
    assert response.status.code == DEADLINE_EXCEEDED


def test_an_action_that_is_not_cacheable_is_run_but_not_remembered(service: Client) -> None:
    encoded = shell("exit 3", cacheable=False)
    assert run(service, encoded).result.exit_code == 3
    assert service.result(encoded.key) is None

"""Models that are pushed to object stores and folders: what is the same for all of them, against
the servers that downloads are tested with."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import boto3
import pytest
import requests
from azure.storage.blob import BlobServiceClient
from conftest import WorkspaceFolder
from parts.clouds import (
    ACCOUNT,
    KEY,
    SECRET,
    aws_variables,
    azurite,
    connection,
    google,
    moto,
)
from parts.downloads import assert_stands_nowhere
from parts.faulty import Fault, Proxy, faulty
from parts.models import Asked, ask, io, scale, tree_of_models
from tritonbuild.rules.destinations import folder, publish
from tritonbuild.rules.destinations.destination import Check, Item

from tritonbuild.cancel import Cancellation
from tritonbuild.errors import ActionError
from tritonbuild.events import Event, Shipped
from tritonbuild.label import Label
from tritonbuild.merkle import Folder, Symlink
from tritonbuild.session import Session
from tritonbuild.ship import ship

CLOUDS = ("s3", "gs", "az")
Make = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]
MANIFEST = """\
[workspace]
name = "test"
[backends.python]
[models.one]
backend = "python"
versions = { 1 = "one", 2 = "one" }
[models.one.config]
max_batch_size = 4
input = [{ name = "x", data_type = "FP32", dims = [3] }]
output = [{ name = "y", data_type = "FP32", dims = [3] }]
[models.whole]
steps = [{ model = ":one", inputs = { x = "x" }, outputs = { y = "y" } }]
"""
FILES: dict[str, str | bytes] = {
    "triton.toml": MANIFEST,
    "one/model.py": "class TritonPythonModel: ...\n",
    "one/weights.bin": bytes(range(256)) * 4096,
}
CONTENT = ["whole/1/.keep", *(f"one/{v}/{n}" for v in (1, 2) for n in ("model.py", "weights.bin"))]
CONFIGS = ["one/config.pbtxt", "whole/config.pbtxt"]
"""In the order in which a server may see them."""


@dataclass
class Place:
    to: str
    read: Callable[[], dict[str, bytes]]
    """What lies there, by path below it."""
    remove: Callable[[str], object]
    variables: dict[str, str] = field(default_factory=dict)
    proxy: Proxy | None = None
    secret: str = ""

    def written(self) -> list[str]:
        """Paths, in the order in which they were begun. Of Google, where that stands in a query."""
        assert self.proxy is not None
        paths = []
        for seen in list(self.proxy.seen):
            named = re.search(r"(?:/there/|there%2F)([^?&]*)", seen.path)
            if seen.method in ("PUT", "POST") and named and "comp=block&" not in seen.path:
                paths.append(unquote(named[1]))
        return list(dict.fromkeys(paths))


@pytest.fixture
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """The address of a kind of place, whose server is started when it is first wanted: one a test,
    since Azurite may answer 500 once an upload to it was cut."""
    kinds = {"s3": moto, "gs": google, "az": azurite}
    with ExitStack() as running:
        started: dict[str, str] = {}

        def address(kind: str) -> str:
            if kind not in started:
                folder = tmp_path_factory.mktemp(kind)
                started[kind] = running.enter_context(kinds[kind](folder))
            return started[kind]

        yield address


@pytest.fixture
def place(
    request: pytest.FixtureRequest, servers: Callable[[str], str], tmp_path: Path
) -> Iterator[Place]:
    kind: str = request.param
    name = "b" + hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    if kind == "folder":
        yield folder_place(tmp_path / "there")
        return
    address = servers(kind)
    host = address.removeprefix("http://").partition("/")[0]
    with faulty(host) as proxy:
        through = address.replace(host, proxy.host)
        made = {"s3": s3_place, "gs": gs_place, "az": az_place}[kind](
            address, through, name, tmp_path
        )
        made.proxy = proxy
        yield made


def folder_place(root: Path) -> Place:
    def read() -> dict[str, bytes]:
        files = [path for path in root.rglob("*") if path.is_file()]
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}

    return Place(str(root), read, lambda path: (root / path).unlink())


def s3_place(address: str, through: str, name: str, folder: Path) -> Place:
    client = boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="somebody",
        aws_secret_access_key=SECRET,
    )  # fmt: skip
    client.create_bucket(Bucket=name)

    def read() -> dict[str, bytes]:
        found = client.list_objects_v2(Bucket=name, Prefix="there/").get("Contents", [])
        return {
            item["Key"].removeprefix("there/"): client.get_object(Bucket=name, Key=item["Key"])[
                "Body"
            ].read()
            for item in found
        }

    def remove(path: str) -> None:
        client.delete_object(Bucket=name, Key=f"there/{path}")

    return Place(f"s3://{name}/there", read, remove, aws_variables(through, folder), secret=SECRET)


def gs_place(address: str, through: str, name: str, folder: Path) -> Place:
    made = requests.post(f"{address}/storage/v1/b", json={"name": name}, timeout=30)
    made.raise_for_status()
    objects = f"{address}/storage/v1/b/{name}/o"

    def read() -> dict[str, bytes]:
        listed = requests.get(objects, params={"prefix": "there/"}, timeout=30).json()
        return {
            item["name"].removeprefix("there/"): requests.get(
                f"{objects}/{quote(item['name'], safe='')}",
                params={"alt": "media"},
                timeout=30,
            ).content
            for item in listed.get("items", [])
        }

    def remove(path: str) -> None:
        name = quote(f"there/{path}", safe="")
        requests.delete(f"{objects}/{name}", timeout=30).raise_for_status()

    return Place(f"gs://{name}/there/", read, remove, {"STORAGE_EMULATOR_HOST": through})


def az_place(address: str, through: str, name: str, folder: Path) -> Place:
    service = BlobServiceClient.from_connection_string(connection(address))
    container = service.create_container(name)

    def read() -> dict[str, bytes]:
        return {
            item.name.removeprefix("there/"): container.download_blob(item.name).readall()
            for item in container.list_blobs("there/")
        }

    return Place(
        f"az://{ACCOUNT}/{name}/there",
        read,
        lambda path: container.delete_blob(f"there/{path}"),
        {"AZURE_STORAGE_CONNECTION_STRING": connection(through)},
        secret=KEY,
    )


@pytest.fixture
def models(workspace: Make, monkeypatch: pytest.MonkeyPatch) -> WorkspaceFolder:
    folder = workspace(FILES)
    monkeypatch.setenv("TRITONBUILD_CACHE_DIR", str(folder.cache))
    return folder


def push(folder: WorkspaceFolder, place: Place, *, delete: bool = False) -> tuple[int, int]:
    """A push of all in this process: bytes that were moved, and that were there."""
    events: list[Event] = []
    with pytest.MonkeyPatch.context() as patch:
        for name, value in place.variables.items():
            patch.setenv(name, value)
        with Session(folder.root, events.append, Cancellation()) as session:
            report = ship(session, [Label("", "whole")], [place.to], delete=delete)
    assert not report.exit_code, report.problems
    (told,) = [event for event in events if isinstance(event, Shipped)]
    return told.moved, told.there


EVERYWHERE = pytest.mark.parametrize("place", [*CLOUDS, "folder"], indirect=True)
IN_CLOUDS = pytest.mark.parametrize("place", CLOUDS, indirect=True)


@EVERYWHERE
def test_a_first_push_moves_all_and_a_second_one_nothing(
    models: WorkspaceFolder, place: Place
) -> None:
    models.environment |= place.variables
    outcome = models.run("push", "//:whole", "--to", place.to)
    assert outcome.exit_code == 0, outcome.text
    there = place.read()
    assert sorted(there) == sorted([*CONTENT, *CONFIGS])
    built = models.output("_/whole")
    assert all(there[p] == (built / p).read_bytes() for p in there if not p.endswith(".keep"))
    total = sum(map(len, there.values()))
    (event,) = [event for event in outcome.events if event["event"] == "shipped"]
    assert (event["label"], event["place"]) == ("//:whole", place.to)
    assert (event["moved"], event["there"]) == (total, 0)
    assert outcome.finished["metrics"]["bytes_pushed"] == total
    if place.secret:
        assert_stands_nowhere(place.secret, models, outcome.text, str(outcome.events))
    assert push(models, place) == (0, total)


@EVERYWHERE
def test_what_somebody_changed_there_is_moved_again(models: WorkspaceFolder, place: Place) -> None:
    push(models, place)
    there = place.read()
    place.remove("one/1/model.py")
    assert push(models, place)[0] == len(there["one/1/model.py"])
    assert place.read() == there


@IN_CLOUDS
def test_one_changed_config_moves_one_object(models: WorkspaceFolder, place: Place) -> None:
    push(models, place)
    assert place.proxy is not None
    place.proxy.seen.clear()
    models.write({"triton.toml": MANIFEST.replace("max_batch_size = 4", "max_batch_size = 5")})
    moved, _ = push(models, place)
    assert moved == len(place.read()["one/config.pbtxt"])
    assert place.written() == ["one/config.pbtxt"]
    assert b"max_batch_size: 5" in place.read()["one/config.pbtxt"]


@IN_CLOUDS
def test_configs_come_last_and_members_before_their_ensemble(
    models: WorkspaceFolder, place: Place
) -> None:
    push(models, place)
    written = place.written()
    assert sorted(written[:-2]) == sorted(CONTENT)
    assert written[-2:] == CONFIGS


@IN_CLOUDS
def test_an_interrupted_push_shows_no_config_and_is_taken_up_again(
    models: WorkspaceFolder, place: Place
) -> None:
    """What is interrupted is the upload of one file of the content; the others get there."""
    proxy = place.proxy
    assert proxy is not None
    pattern = "there(/|%2F)one(/|%2F)2(/|%2F)weights.bin"
    methods = ("PUT", "POST")
    stalls = [Fault("stall", method, pattern, times=100) for method in methods]
    proxy.faults.extend(stalls)
    models.environment |= place.variables
    running = models.start("push", "//:whole", "--to", place.to)
    wait_for(lambda: len(place.read()) == len(CONTENT) - 1 and any(
        re.search(pattern, seen.path) and seen.method in methods
        for seen in proxy.seen
    ))  # fmt: skip
    running.send_signal(signal.SIGKILL)
    running.communicate()
    before = place.read()
    assert sorted(before) == sorted(set(CONTENT) - {"one/2/weights.bin"})
    proxy.faults.clear()
    moved, there = push(models, place)
    after = place.read()
    assert sorted(after) == sorted([*CONTENT, *CONFIGS])
    assert there == sum(map(len, before.values()))
    assert moved == sum(map(len, after.values())) - there


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@IN_CLOUDS
def test_ctrl_c_ends_a_push_that_hangs(models: WorkspaceFolder, place: Place) -> None:
    """What is under way has some seconds to end, and is left alone then."""
    assert place.proxy is not None
    models.environment |= place.variables
    place.proxy.faults += [Fault("stall", method, times=100) for method in ("PUT", "POST")]
    running = models.start("push", "//:whole", "--to", place.to)
    wait_for(lambda: bool(place.written()))
    running.send_signal(signal.SIGINT)
    assert running.wait(50) == 8
    running.communicate()
    assert place.read() == {}


# Not az: once an upload was cut, Azurite may write to a file that it has closed, and answer 500.
@pytest.mark.parametrize("place", ["s3", "gs"], indirect=True)
def test_a_large_file_goes_in_parts_that_are_tried_again(
    models: WorkspaceFolder, place: Place
) -> None:
    assert place.proxy is not None
    large = os.urandom(20 << 20)
    models.write({"one/weights.bin": large})
    parts = "weights.bin.*(partNumber|comp=block&|upload_id)"
    place.proxy.faults += [
        Fault("cut upload", "PUT", parts, after=1),
        Fault("lose answer", "PUT", parts, after=2),
        Fault("answer", "PUT", parts, after=2, status=503),
    ]
    push(models, place)
    assert sum(bool(re.search(parts, seen.path)) for seen in place.proxy.asked("PUT")) >= 6 + 2
    assert not [fault for fault in place.proxy.faults if fault.times]
    there = place.read()
    assert sorted(there) == sorted([*CONTENT, *CONFIGS])
    assert there["one/1/weights.bin"] == there["one/2/weights.bin"] == large


@EVERYWHERE
def test_a_version_that_is_gone_is_told_and_removed_only_if_so_asked(
    models: WorkspaceFolder, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    push(models, place)
    models.write({"triton.toml": MANIFEST.replace('1 = "one", 2 = "one"', '2 = "one"')})
    push(models, place)
    assert "one/1/model.py" in place.read()
    told = "2 more there that these models do not have, such as one/1/model.py"
    assert told in capsys.readouterr().err
    push(models, place, delete=True)
    assert sorted(place.read()) == sorted(
        [p for p in (*CONTENT, *CONFIGS) if not p.startswith("one/1/")]
    )
    if "://" not in place.to:
        assert not Path(place.to, "one/1").exists()


@EVERYWHERE
def test_nothing_beside_the_models_is_touched(models: WorkspaceFolder, place: Place) -> None:
    """Even where all that a model no longer has is removed."""
    push(models, place)
    before = place.read()
    renamed = MANIFEST.replace("models.one", "models.one_more").replace(":one", ":one_more")
    models.write({"triton.toml": renamed})
    push(models, place, delete=True)
    after = place.read()
    assert after.keys() - before.keys() == {
        path.replace("one/", "one_more/") for path in before if path.startswith("one/")
    }
    assert before.keys() <= after.keys()


@IN_CLOUDS
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_place_that_refuses_is_told_with_a_remedy_and_no_secret(
    models: WorkspaceFolder, place: Place, method: str
) -> None:
    assert place.proxy is not None
    methods = ["POST", "PUT"] if method == "PUT" else ["GET"]
    place.proxy.faults += [Fault("answer", one, times=100, status=403) for one in methods]
    models.environment |= place.variables
    outcome = models.run("push", "//:whole", "--to", place.to)
    assert outcome.exit_code == 1
    assert "cannot be pushed to: " in outcome.error["found"]
    assert "403" in outcome.error["found"]
    assert outcome.error["remedy"].startswith("credentials as for")
    if place.secret:
        assert_stands_nowhere(place.secret, models, outcome.text, str(outcome.events))


@IN_CLOUDS
def test_a_bucket_that_is_not_there_is_told(models: WorkspaceFolder, place: Place) -> None:
    models.environment |= place.variables
    none = re.sub(r"b[0-9a-f]{20}", "there-is-none", place.to)
    outcome = models.run("push", "//:whole", "--to", none)
    assert outcome.exit_code == 1
    assert "it is not there (404" in outcome.error["found"]
    assert outcome.error["remedy"]


def test_a_server_that_is_not_there_is_told(models: WorkspaceFolder, tmp_path: Path) -> None:
    models.environment |= aws_variables("http://127.0.0.1:9", tmp_path)
    outcome = models.run("push", "//:whole", "--to", "s3://bucket/x")
    assert outcome.exit_code == 1
    assert "s3://bucket/x cannot be pushed to: " in outcome.error["found"]
    assert "network and proxy settings" in outcome.error["remedy"]


@pytest.mark.parametrize(
    ("to", "found"),
    [
        ("s3://somebody:a-secret@bucket/x", "holds a secret"),
        ("az://account/container/x?sig=a-secret", "holds a secret"),
        ("https://a-secret@example.org/x", "holds a secret"),
        ("ftp://example.org/x", "nothing is known of such addresses"),
        ("https://example.org/x", "nothing is known of such addresses"),
        ("hf://acme/model", "nothing is known of such addresses"),
        ("s3:///x", "it is not s3://BUCKET/KEY"),
        ("s3://bucket/x?versionId=1", "it has a query or a fragment"),
        ("gs://bucket/x#1", "it has a query or a fragment"),
        ("az://account", "it is not az://ACCOUNT/CONTAINER/BLOB"),
    ],
)
def test_an_address_that_is_none_is_refused_before_anything_is_built(
    models: WorkspaceFolder, to: str, found: str
) -> None:
    outcome = models.run("push", "//:whole", "--to", to)
    assert outcome.exit_code == 2
    assert found in outcome.error["found"]
    assert "or a folder" in outcome.error["expected"]
    assert not models.output("").exists()
    if "a-secret" in to:
        assert "a-secret" not in outcome.text + str(outcome.events)
        for file in (path for path in models.cache.rglob("*") if path.is_file()):
            assert b"a-secret" not in file.read_bytes()


def test_what_goes_where_is_said(models: WorkspaceFolder, tmp_path: Path) -> None:
    """Models have no place of their own; what is no model has none at all."""
    outcome = models.run("push", "//:whole")
    assert (outcome.exit_code, outcome.error["expected"]) == (2, "--to ADDRESS")
    outcome = models.run("push", "//:python", "--to", str(tmp_path / "there"))
    assert outcome.exit_code == 7
    assert outcome.error["found"] == "a target of this rule cannot be pushed"


def test_several_targets_go_to_several_places(models: WorkspaceFolder, tmp_path: Path) -> None:
    """Of a wildcard, all that can be pushed."""
    flags = [f"--to={name}" for name in ("a", "b")]
    outcome = models.run("push", "//...", *flags)
    assert outcome.exit_code == 0, outcome.text
    events = [e for e in outcome.events if e["event"] == "shipped"]
    root = models.root
    assert [(e["label"], e["place"]) for e in events] == [
        (label, str(root / name)) for label in ("//:one", "//:whole") for name in ("a", "b")
    ]
    assert outcome.finished["metrics"]["bytes_pushed"] == sum(e["moved"] for e in events)
    assert folder_place(root / "a").read() == folder_place(root / "b").read()


def test_a_file_in_a_folder_is_a_copy_of_its_own(models: WorkspaceFolder, tmp_path: Path) -> None:
    """Writing into it harms neither the workspace nor the cache."""
    place = folder_place(tmp_path / "there")
    push(models, place)
    pushed = Path(place.to, "one/1/weights.bin")
    assert (pushed.stat().st_nlink, stat.S_IMODE(pushed.stat().st_mode)) == (1, 0o644)
    pushed.write_bytes(b"x" * len(FILES["one/weights.bin"]))
    assert push(models, place)[0] == len(FILES["one/weights.bin"])
    assert pushed.read_bytes() == FILES["one/weights.bin"]


def test_a_folder_that_cannot_be_written_is_told(models: WorkspaceFolder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outcome = models.run("push", "//:whole", "--to", str(tmp_path / "file/below"))
    assert outcome.exit_code == 1
    assert "Not a directory" in outcome.error["found"]


def test_packages_that_models_need_are_told(
    models: WorkspaceFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are no part of a model."""
    needs = 'backend = "python"\nrequirements = ["numpy<2"]\n'
    models.write({"triton.toml": MANIFEST.replace('backend = "python"\n', needs)})
    push(models, folder_place(tmp_path / "there"))
    told = "one needs Python packages where it is served: numpy<2"
    assert told in capsys.readouterr().err


def test_a_file_that_changes_while_it_is_pushed_is_not_left_there(
    models: WorkspaceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would say that it is what it is not."""
    place = folder_place(tmp_path / "there")
    written = folder._Folder.put

    def put(self: Any, item: Item, file: Path, check: Check) -> None:
        if item.path == "one/1/weights.bin":
            models.write({"one/weights.bin": b"another"})
        written(self, item, file, check)

    monkeypatch.setattr(folder._Folder, "put", put)
    with pytest.raises(ActionError, match=r"weights.bin changed while it was pushed"):
        push(models, place)
    there = place.read()
    assert b"another" not in there.values()
    assert not set(CONFIGS) & there.keys()
    monkeypatch.undo()


def test_a_link_is_refused() -> None:
    """A store has none."""
    model = Folder({"one": Folder({"1": Folder({"model.py": Symlink("../model.py")})})})
    with pytest.raises(ActionError, match=r"one/1/model.py is a link to ../model.py"):
        list(publish._files(model))


def test_a_real_server_serves_what_was_pushed(
    tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = f"""\
[models.double]
backend = "python"
versions = {{ 1 = "double" }}
[models.double.config]
max_batch_size = 0
{io(3)}
[models.whole]
steps = [{{ model = ":double", inputs = {{ x = "x" }}, outputs = {{ y = "y" }} }}]
"""
    files = {"m/triton.toml": models, "m/double/model.py": scale(2.0)}
    tree = tree_of_models(tmp_path / "workspace", shared_cache, monkeypatch, files)
    there = tmp_path / "there"
    with Session(tree.root, lambda event: None, Cancellation()) as session:
        report = ship(session, [Label("m", "whole")], [str(there)])
    assert not report.exit_code, report.problems

    def body(asked: Asked) -> None:
        assert asked.infer("whole", "x", [1.0, 2.0, 3.0]) == {"y": [2.0, 4.0, 6.0]}

    ask(tree, "//m:whole", monkeypatch, body, repository=there)

"""The same inputs give the same bytes in another folder, for another user, with another umask,
time zone, locale, home, hash seed and a fresh cache.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from conftest import MINIMAL, Outcome, WorkspaceFolder
from parts.around import around
from parts.leftovers import content

from tritonbuild.cache import Result
from tritonbuild.cache.disk import DiskCache
from tritonbuild.cache.state import State
from tritonbuild.digest import Digest
from tritonbuild.explain import LAST
from tritonbuild.merkle import File, Folder, Symlink
from tritonbuild.places import state_folder

NOBODY = 65534
MANIFEST = f'''{MINIMAL}
[commands.files]
argv = ["sh", "-c", """
date; seq 300000 > large
mkdir -p d/e; cp größe/é.txt größe/run.sh d/e; touch d/empty
(umask; id; date +%Z; locale; env | sort; pwd; uname -n) > small
"""]
inputs = ["größe"]
outputs = ["large", "d", "small"]

[commands.more]
argv = ["sh", "-c", "ls -R > listing; tar --sort=name --mtime=@0 -cf tar größe d small"]
inputs = [":files", "größe/*"]
outputs = ["listing", "tar"]

[backends.square]
[models.m]
backend = "square"
versions = {{ 1 = "weights.onnx", 2 = "folder", 3 = {{ "model.onnx" = ":files/large", "labels/é.txt" = ":files/small" }} }}
config_file = "config.pbtxt"
[models.m.config]
parameters = {{ b = {{ string_value = "ü" }}, a = {{ string_value = "1" }} }}
[repositories.r]
models = [":m"]
'''  # noqa: E501
FILES: Mapping[str, str | bytes] = {
    "triton.toml": MANIFEST,
    "größe/é.txt": "é",
    "größe/b.txt": "b",
    "größe/run.sh": "#!/bin/sh\n",
    "weights.onnx": random.Random(0).randbytes(3000000),
    "folder/model.onnx": "x",
    "folder/extra/z.txt": "z",
    "config.pbtxt": "max_batch_size: 4\n",
}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def elsewhere(workspace: WorkspaceFolder, open_folder: Path) -> WorkspaceFolder:
    """A copy at another place, with a cache of its own, written in another order."""
    folder = open_folder / "another folder" / "ünder"
    paths = [p for p in workspace.root.rglob("*") if "tritonbuild-out" not in p.parts]
    for path in sorted(filter(Path.is_file, paths), reverse=True):
        target = folder / path.relative_to(workspace.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        shutil.copymode(path, target)
    return WorkspaceFolder(folder, open_folder / "cache")


def build_differently(workspace: WorkspaceFolder, open_folder: Path) -> Outcome:
    """As another user, if this one may become one, with everything else different too."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("LC_")},
        "HOME": str(open_folder / "home"),
        "LC_ALL": "C",
        "LANG": "tr_TR.ISO-8859-9",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONUTF8": "0",
        "PYTHONHASHSEED": "4242",
        "TMPDIR": str(open_folder / "tmp"),
        "TRITONBUILD_CACHE_DIR": str(workspace.cache),
        "TZ": "Asia/Kathmandu",
        "USER": "somebody",
    }
    for name in ("home", "tmp", "cache"):
        (open_folder / name).mkdir(exist_ok=True)
    become: list[str] = []
    if os.geteuid() == 0:
        for path in (open_folder, *open_folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        # It may read everything, since the checkout may lie where others don't come.
        reads = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *reads]
    umask = ["sh", "-c", 'umask 077; exec "$@"', "sh"]
    outcome = around(workspace, [*become, *umask], "build", "//...", environment=environment)
    assert outcome.exit_code == 0, outcome.text
    return outcome


def keys(cache: Path, root: Path) -> dict[str, Digest]:
    """Every action of a workspace → its key."""
    state = State(state_folder(cache, root))
    records = state.records(LAST, "")
    state.close()
    return {name: Digest(key, 0) for name, (key, _) in records.items()}


def result(cache: DiskCache, key: Digest) -> Result:
    encoded = cache.get_result(key)
    assert encoded is not None
    return Result.decode(encoded, cache)


def digests(cache: DiskCache, key: Digest) -> list[tuple[str, Digest]]:
    """Of an action's outputs, by path."""
    outputs = result(cache, key).outputs.items()
    assert all(isinstance(entry, File | Folder) for _, entry in outputs)
    return [(path, entry.digest) for path, entry in outputs if not isinstance(entry, Symlink)]


def test_files_folders_and_models_are_the_same_bytes(tmp_path: Path, open_folder: Path) -> None:
    one = WorkspaceFolder(tmp_path / "workspace", tmp_path / "cache")
    one.write(FILES)
    (one.root / "größe" / "run.sh").chmod(0o755)
    two = elsewhere(one, open_folder)
    expected = one.build()
    outcome = build_differently(two, open_folder)
    assert outcome.executed == expected.executed > 0
    assert outcome.outputs == expected.outputs
    assert content(two.output("")) == content(one.output(""))
    assert keys(two.cache, two.root) == keys(one.cache, one.root)


def test_a_build_in_another_surrounding_finds_everything_in_the_cache(
    tmp_path: Path, open_folder: Path
) -> None:
    one = WorkspaceFolder(tmp_path / "workspace", open_folder / "cache")
    one.write(FILES)
    one.build()
    two = elsewhere(one, open_folder)
    assert build_differently(two, open_folder).executed == 0


def test_every_action_of_the_quick_start_makes_the_same_bytes(
    quickstart: WorkspaceFolder, open_folder: Path
) -> None:
    expected = quickstart.build()
    actions = keys(quickstart.cache, quickstart.root)
    two = elsewhere(quickstart, open_folder)
    one_cache, two_cache = DiskCache(quickstart.cache), DiskCache(two.cache)
    fetches = {name for name in actions if " (fetch " in name}
    for name in fetches:
        take_over(one_cache, two_cache, actions[name])
    outcome = build_differently(two, open_folder)
    assert outcome.outputs == expected.outputs
    assert keys(two.cache, two.root) == actions
    assert outcome.executed == len({actions[name] for name in actions.keys() - fetches})
    assert content(two.output("")) == content(quickstart.output(""))
    for name, key in actions.items():
        assert digests(two_cache, key) == digests(one_cache, key), name


def test_a_debian_base_is_the_same_bytes(
    tmp_path: Path, shared_cache: Path, open_folder: Path
) -> None:
    one = WorkspaceFolder(tmp_path / "workspace", shared_cache)
    packages = '["bash", "ca-certificates", "python3"]'
    manifest = f'{MINIMAL}[bases.b]\ndebian = "bookworm"\npackages = {packages}\n'
    one.write({"triton.toml": manifest})
    expected = one.build()
    actions = keys(one.cache, one.root)
    two = elsewhere(one, open_folder)
    one_cache, two_cache = DiskCache(one.cache), DiskCache(two.cache)
    for name in actions:
        if " (fetch " in name:
            take_over(one_cache, two_cache, actions[name])
    outcome = build_differently(two, open_folder)
    assert outcome.executed >= 4
    assert outcome.outputs == expected.outputs
    for name, key in actions.items():
        assert digests(two_cache, key) == digests(one_cache, key), name


def take_over(one: DiskCache, two: DiskCache, key: Digest) -> None:
    """Copies a result from one cache to another."""
    found = result(one, key)
    for entry in (*found.outputs.values(), File(found.log)):
        assert isinstance(entry, File), "only files are fetched"
        two.put(one.read(entry.digest))
    two.put_result(key, found.encode(two))

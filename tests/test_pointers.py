"""Files whose content stands elsewhere: Git LFS, with the real git-lfs and a remote in another
folder; and DVC, whose `.dvc` files and cache are laid out here as its documentation says (and as
DVC 3.67 was seen to do)."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import MINIMAL, WorkspaceFolder
from parts.missing import missing

from tritonbuild.cache.disk import DiskCache
from tritonbuild.cache.state import State
from tritonbuild.digest import Digest
from tritonbuild.errors import ActionError
from tritonbuild.merkle import File, Folder
from tritonbuild.pointers import MAGIC, Pointers, parse
from tritonbuild.sources import Sources
from tritonbuild.workspace import Workspace

BODY = b"weights\n" * 100_000
DIGEST = Digest.of_bytes(BODY)
POINTER = MAGIC + f"v1\noid sha256:{DIGEST.hash}\nsize {DIGEST.size}\n".encode()
MD5 = hashlib.md5(BODY).hexdigest()
COPY = """
[commands.copy]
argv = ["sh", "-c", "cp 'm/a model é.onnx' out && ls m > names"]
inputs = ["m"]
outputs = ["out", "names"]
"""
NAME = "m/a model é.onnx"
Make = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *arguments],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git is configured for these tests alone."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / "home").mkdir()


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A repository with one file in Git LFS."""
    if shutil.which("git-lfs") is None:
        missing("git-lfs is not installed", "apt-get install git-lfs")
    work, bare = tmp_path / "work", tmp_path / "remote.git"
    work.mkdir()
    git(tmp_path, "lfs", "install")
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(bare))
    git(work, "init", "-q", "-b", "main")
    git(work, "lfs", "track", "*.onnx")
    (work / "m").mkdir()
    (work / NAME).write_bytes(BODY)
    (work / "triton.toml").write_text(MINIMAL + COPY)
    git(work, "add", ".")
    git(work, "commit", "-q", "-m", "a model")
    git(work, "remote", "add", "origin", f"file://{bare}")
    git(work, "push", "-q", "origin", "main")
    return bare


@pytest.fixture
def clone(remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkspaceFolder:
    """Without the content."""
    monkeypatch.setenv("GIT_LFS_SKIP_SMUDGE", "1")
    git(tmp_path, "clone", "-q", f"file://{remote}", "clone")
    folder = WorkspaceFolder(tmp_path / "clone", tmp_path / "cache")
    assert (folder.root / NAME).read_bytes() == POINTER
    return folder


def sources(root: Path) -> Sources:
    cache = DiskCache(root.with_name("cache-of-sources"))
    return Sources(Workspace(root), _Forgetful(), Pointers(root, cache))


class _Forgetful:
    def digest(self, path: str, signature: object) -> None:
        return None

    def remember_digests(self, rows: object) -> None:
        """Nothing."""


def test_a_pointer_says_what_it_stands_for() -> None:
    assert parse(POINTER) == DIGEST
    for damaged in (POINTER.replace(b"sha256", b"md5"), POINTER[:-20], MAGIC, b"\xff"):
        assert parse(damaged) is None


def test_a_build_takes_what_a_pointer_stands_for_from_the_remote(clone: WorkspaceFolder) -> None:
    clone.build()
    assert clone.output("_/copy/out").read_bytes() == BODY
    assert clone.output("_/copy/names").read_text() == "a model é.onnx\n"
    assert (clone.root / NAME).read_bytes() == POINTER
    status = ["git", "status", "--porcelain", "--", "m"]
    assert subprocess.check_output(status, cwd=clone.root) == b""


def test_a_dry_run_takes_nothing_from_the_remote(clone: WorkspaceFolder) -> None:
    outcome = clone.run("build", "//...", "--dry-run")
    assert outcome.exit_code == 0, outcome.text
    notes = [event["text"] for event in outcome.events if event["event"] == "note"]
    assert [note.partition(":")[0] for note in notes] == ["may run"]
    objects = (clone.root / ".git/lfs/objects").rglob("*")
    assert not any(path.is_file() for path in objects)


def test_pulling_it_afterwards_changes_nothing(clone: WorkspaceFolder) -> None:
    clone.build()
    git(clone.root, "lfs", "pull")
    assert (clone.root / NAME).read_bytes() == BODY
    assert clone.build().executed == 0


def test_what_git_lfs_has_here_is_taken_from_there(clone: WorkspaceFolder, remote: Path) -> None:
    git(clone.root, "lfs", "fetch")
    remote.rename(remote.with_name("gone.git"))
    assert sources(clone.root).entry(NAME) == File(DIGEST)


def test_a_damaged_object_of_git_lfs_is_not_taken(clone: WorkspaceFolder, remote: Path) -> None:
    git(clone.root, "lfs", "fetch")
    kept = clone.root / ".git/lfs/objects" / DIGEST.hash[:2] / DIGEST.hash[2:4] / DIGEST.hash
    kept.chmod(0o644)
    kept.write_bytes(b"x" * len(BODY))
    with pytest.raises(ActionError, match="the file itself cannot be had"):
        sources(clone.root).entry(NAME)


def test_the_executable_bit_is_the_pointers(clone: WorkspaceFolder) -> None:
    (clone.root / NAME).chmod(0o755)
    assert sources(clone.root).entry(NAME) == File(DIGEST, executable=True)


def test_what_the_remote_does_not_have_is_told_with_the_remedy(
    clone: WorkspaceFolder, remote: Path
) -> None:
    shutil.rmtree(remote / "lfs")
    outcome = clone.run("build", "//...")
    assert outcome.exit_code == 1
    assert outcome.error["file"] == NAME
    assert outcome.error["label"] == "//:copy"
    assert "the file itself cannot be had" in outcome.error["found"]
    assert f"git lfs pull --include '{NAME}'" in outcome.error["remedy"]


def test_without_git_lfs_it_is_told_how_to_get_it(clone: WorkspaceFolder, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("git", "sh", "cp", "ls"):
        (programs / name).symlink_to(str(shutil.which(name)))
    # Git looks for its own subcommands beside itself too.
    clone.environment |= {"PATH": str(programs), "GIT_EXEC_PATH": str(programs)}
    outcome = clone.run("build", "//...")
    assert "git-lfs is not installed" in outcome.error["found"]
    assert "apt-get install git-lfs" in outcome.error["remedy"]


def test_a_pointer_outside_of_a_repository_is_told(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.onnx").write_bytes(POINTER)
    with pytest.raises(ActionError, match="is a Git LFS pointer, not the file itself"):
        sources(root).entry("a.onnx")


def test_a_pointer_whose_content_is_in_the_cache_needs_nobody(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.onnx").write_bytes(POINTER)
    DiskCache(tmp_path / "cache-of-sources").put(BODY)
    assert sources(root).entry("a.onnx") == File(DIGEST)


def test_a_file_that_is_as_long_as_its_pointer_is_told_from_it(tmp_path: Path) -> None:
    body = b"x" * 130
    digest = Digest.of_bytes(body)
    pointer = MAGIC + f"v1\noid sha256:{digest.hash}\nsize {digest.size}\n".encode()
    assert len(pointer) < 140
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").write_bytes(pointer)
    cache = DiskCache(tmp_path / "cache-of-sources")
    cache.put(body)
    there = sources(root)
    assert there.entry("a") == File(digest)
    assert there.find(digest) is None


def test_a_pointer_that_is_known_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, cache = tmp_path / "root", DiskCache(tmp_path / "cache")
    root.mkdir()
    (root / "a").write_bytes(POINTER)
    cache.put(BODY)
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 5_000_000_000)  # its times have settled
    state = State(tmp_path / "state")
    assert Sources(Workspace(root), state, Pointers(root, cache)).entry("a") == File(DIGEST)

    def refuse(path: Path) -> bytes:
        raise AssertionError(f"{path} is read")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert Sources(Workspace(root), state, Pointers(root, cache)).entry("a") == File(DIGEST)
    state.close()


def dvc(
    folder: Path, *, cache: str = ".dvc/cache", body: bytes = BODY, legacy: bool = False
) -> None:
    """A repository of DVC with one file that is not there; its cache holds `body`."""
    (folder / "m").mkdir(parents=True, exist_ok=True)
    (folder / ".dvc").mkdir()
    kind = "" if legacy else "  hash: md5\n"
    text = f"outs:\n- md5: {MD5}\n  size: {len(BODY)}\n{kind}  path: {Path(NAME).name}\n"
    (folder / f"{NAME}.dvc").write_text(text)
    files = folder / cache / ("" if legacy else "files/md5") / MD5[:2]
    files.mkdir(parents=True)
    (files / MD5[2:]).write_bytes(body)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_build_takes_a_file_from_dvcs_cache(
    workspace: Make, tmp_path: Path, legacy: bool
) -> None:
    dvc(tmp_path / "workspace", legacy=legacy)
    folder = workspace({"triton.toml": MINIMAL + COPY})
    folder.build()
    assert folder.output("_/copy/out").read_bytes() == BODY
    assert not (folder.root / NAME).exists()
    assert folder.build().executed == 0


def test_a_file_that_dvc_tracks_may_be_named_itself(workspace: Make, tmp_path: Path) -> None:
    dvc(tmp_path / "workspace")
    for inputs in (NAME, "m/*.onnx"):
        text = COPY.replace('"m"]', f'"{inputs}"]')
        folder = workspace({"triton.toml": MINIMAL + text})
        folder.build()
        assert folder.output("_/copy/out").read_bytes() == BODY


def test_pulling_what_dvc_tracks_changes_nothing(workspace: Make, tmp_path: Path) -> None:
    dvc(tmp_path / "workspace")
    folder = workspace({"triton.toml": MINIMAL + COPY})
    folder.build()
    folder.write({NAME: BODY})
    assert folder.build().executed == 0


def test_another_content_of_what_dvc_tracks_is_built(workspace: Make, tmp_path: Path) -> None:
    dvc(tmp_path / "workspace")
    folder = workspace({"triton.toml": MINIMAL + COPY})
    folder.build()
    md5 = hashlib.md5(b"new").hexdigest()
    text = (folder.root / f"{NAME}.dvc").read_text().replace(MD5, md5)
    folder.write({f"{NAME}.dvc": text, f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}": b"new"})
    folder.build()
    assert folder.output("_/copy/out").read_bytes() == b"new"


def test_dvcs_cache_may_lie_elsewhere(tmp_path: Path) -> None:
    root = tmp_path / "root"
    dvc(root, cache="../elsewhere")
    (root / ".dvc/config").write_text(
        "[core]\n    remote = r\n[cache]\n    dir = ../../elsewhere\n"
    )
    assert sources(root).entry(NAME) == File(DIGEST)


def test_a_damaged_file_in_dvcs_cache_is_told(tmp_path: Path) -> None:
    root = tmp_path / "root"
    dvc(root, body=b"other")
    with pytest.raises(ActionError, match="damaged") as refused:
        sources(root).entry("m")
    assert refused.value.problems[0].file == NAME


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"outs:\n- md5: {MD5}.dir\n  nfiles: 2\n  hash: md5\n  path: x\n", "stands for a folder"),
        ("outs:\n- etag: x\n  path: x\n", "tells no file's md5"),
        ("outs:\n- md5: ../../../../etc/passwd\n  path: x\n", "tells no file's md5"),
        (f"outs:\n- md5: {'0' * 32}\n  hash: md5\n  path: x\n", "in no cache here"),
        ("", "tells no file's md5"),
        ("\xff", "tells no file's md5"),
    ],
)
def test_what_dvc_cannot_give_is_told_with_the_remedy(
    tmp_path: Path, text: str, found: str
) -> None:
    root = tmp_path / "root"
    dvc(root)
    (root / f"{NAME}.dvc").write_text(text)
    with pytest.raises(ActionError, match=found) as refused:
        sources(root).entry(NAME)
    assert f"dvc pull '{NAME}.dvc'" in refused.value.problems[0].remedy


def test_a_name_that_ends_like_dvcs_is_just_a_name_elsewhere(tmp_path: Path) -> None:
    root = tmp_path / "root"
    dvc(root)
    shutil.rmtree(root / ".dvc")
    entry = sources(root).entry("m")
    assert isinstance(entry, Folder)
    assert sorted(entry.entries) == ["a model é.onnx.dvc"]
    with pytest.raises(ActionError, match="does not exist"):
        sources(root).entry(NAME)


def test_a_folder_shows_what_dvc_tracks_beside_its_dvc_file(tmp_path: Path) -> None:
    root = tmp_path / "root"
    dvc(root)
    entry = sources(root).entry("m")
    assert isinstance(entry, Folder)
    assert sorted(entry.entries) == ["a model é.onnx", "a model é.onnx.dvc"]


WINDOWS = b"a label\r\n" * 300_000


def of_dvc_2(root: Path, body: bytes) -> None:
    """What it kept of a text with line ends of Windows, of which it took a MiB at a time."""
    dvc(root, body=body, legacy=True)
    parts = (WINDOWS[at : at + (1 << 20)] for at in range(0, len(WINDOWS), 1 << 20))
    unix = hashlib.md5(b"".join(part.replace(b"\r\n", b"\n") for part in parts)).hexdigest()
    tracked, cache = root / f"{NAME}.dvc", root / ".dvc/cache"
    tracked.write_text(tracked.read_text().replace(MD5, unix))
    (cache / unix[:2]).mkdir(exist_ok=True)
    (cache / MD5[:2] / MD5[2:]).rename(cache / unix[:2] / unix[2:])


def test_a_text_that_dvc_2_kept_is_known_by_its_md5_without_returns(tmp_path: Path) -> None:
    root = tmp_path / "root"
    of_dvc_2(root, WINDOWS)
    assert sources(root).entry(NAME) == File(Digest.of_bytes(WINDOWS))


def test_what_dvc_2_kept_is_checked_too(tmp_path: Path) -> None:
    root = tmp_path / "root"
    of_dvc_2(root, b"damaged")
    with pytest.raises(ActionError, match="damaged") as refused:
        sources(root).entry(NAME)
    assert "dvc pull" in refused.value.problems[0].remedy


def test_a_repository_is_asked_once_where_it_keeps_objects(
    clone: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(clone.root, "lfs", "fetch")
    for name in ("a", "b/c"):
        (clone.root / name).mkdir(parents=True)
        (clone.root / name / "x.onnx").write_bytes(POINTER)
    asked: list[list[str]] = []
    start = subprocess.Popen

    def popen(argv: list[str], **options: Any) -> subprocess.Popen[bytes]:
        asked.append(argv)
        return start(argv, **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    pointers = Pointers(clone.root, _Forgets(DiskCache(clone.root.with_name("another"))))
    for path in (NAME, "a/x.onnx", "b/c/x.onnx"):
        assert pointers.lfs(path, POINTER) == DIGEST
    assert asked == [["git", "lfs", "env"]]


class _Forgets:
    """A cache in which nothing is found."""

    def __init__(self, cache: DiskCache):
        self.tmp, self.adopt = cache.tmp, cache.adopt

    def find(self, digest: Digest) -> Path | None:
        return None

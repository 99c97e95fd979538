"""What is known of a commit, in the place of words."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tritonbuild import stamps
from tritonbuild.errors import UsageError


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """With a commit on the branch `trunk`, which has the tag v1."""
    for words in (
        ["init", "--quiet", "--initial-branch=trunk"],
        ["commit", "--quiet", "--allow-empty", "--message=one", "--date=2026-01-02T03:04:05Z"],
        ["tag", "v1"],
    ):
        git(tmp_path, *words)
    return tmp_path


def git(folder: Path, *words: str) -> str:
    """Whoever runs the tests."""
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    done = subprocess.run(
        ["git", "-C", folder, *who, *words], capture_output=True, text=True, check=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder),
             "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z"},
    )  # fmt: skip
    return done.stdout.strip()


def test_words_are_replaced_by_what_git_knows(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    text = "{git.commit} {git.short} {git.branch} {git.tag} {git.describe} {git.date}"
    told = stamps.replace(text, repository).split()
    assert told == [commit, commit[:12], "trunk", "v1", "v1", "2026-01-02T03:04:05+00:00"]


def test_a_folder_of_the_repository_will_do(repository: Path) -> None:
    (repository / "folder").mkdir()
    assert stamps.replace("v-{git.tag}", repository / "folder") == "v-v1"


def test_other_text_is_left_alone(tmp_path: Path) -> None:
    text = "{version} {gitx.commit} { git.commit } {} git.commit"
    assert stamps.replace(text, tmp_path) == text


def test_a_word_that_means_nothing_is_told_with_the_nearest(repository: Path) -> None:
    for act in (stamps.check, lambda text: stamps.replace(text, repository)):
        with pytest.raises(UsageError) as raised:
            act("v{git.shrot}")
        (problem,) = raised.value.problems
        assert problem.found == "{git.shrot} means nothing"
        assert "git.short" in problem.remedy


@pytest.mark.parametrize("text", ["{git.commit}", "{git.describe}"])
def test_outside_of_a_repository_git_does_not_know(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as raised:
        stamps.replace(text, tmp_path)
    (problem,) = raised.value.problems
    assert problem.found.startswith(f"{text} is not known: ")
    assert "not a git repository" in problem.found
    assert problem.expected


def test_a_commit_without_a_tag_has_none(repository: Path) -> None:
    git(repository, "commit", "--quiet", "--allow-empty", "--message=two")
    with pytest.raises(UsageError, match=r"\{git\.tag\} is not known"):
        stamps.replace("{git.tag}", repository)
    assert stamps.replace("{git.describe}", repository).startswith("v1-1-g")


def test_without_git_the_stamp_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError) as raised:
        stamps.replace("{git.commit}", tmp_path)
    assert raised.value.problems[0].found == "{git.commit} needs git"

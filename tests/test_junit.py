"""Of `test --junit` and `--runs`: one report of a run, as CI servers read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import WorkspaceFolder
from junitparser import JUnitXml, TestSuite

from tritonbuild.errors import UsageError
from tritonbuild.junit import prepare


def suites(path: Path) -> dict[str, TestSuite]:
    return {suite.name: suite for suite in JUnitXml.fromfile(str(path))}


def test_every_verification_is_a_suite(quickstart: WorkspaceFolder, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    outcome = quickstart.run("test", "//models:all", "--junit", str(report))
    assert outcome.exit_code == 0, outcome.text
    found = suites(report)
    assert set(found) == {label for label, status in outcome.targets.items() if status == "passed"}
    assert all(suite.failures == suite.errors == 0 for suite in found.values())


def test_a_failed_verification_is_a_failure_with_its_message(
    quickstart: WorkspaceFolder, tmp_path: Path
) -> None:
    cases = quickstart.root / "models/golden/normalize.json"
    case = json.loads(cases.read_text())
    case["outputs"][0]["data"][3] += 1
    cases.write_text(json.dumps(case))
    report = tmp_path / "report.xml"
    outcome = quickstart.run("test", "//models:normalize", "--junit", str(report))
    assert outcome.exit_code == 3, outcome.text
    suite = suites(report)["//models:normalize_answers"]
    assert suite.failures == 1
    assert "pixels" in report.read_text()


def test_a_target_that_is_not_built_is_an_error_or_skipped(
    quickstart: WorkspaceFolder, tmp_path: Path
) -> None:
    (quickstart.root / "models/train.py").write_text("raise SystemExit(5)\n")
    report = tmp_path / "report.xml"
    outcome = quickstart.run("test", "//models:digits", "--junit", str(report), "--keep-going")
    assert outcome.exit_code == 1, outcome.text
    found = suites(report)
    assert found["//models:train"].errors == 1
    assert found["//models:digits_answers"].skipped == 1


def test_runs_repeats_verifications_whatever_is_cached(
    quickstart: WorkspaceFolder, tmp_path: Path
) -> None:
    once = quickstart.run("test", "//models:normalize")
    assert once.exit_code == 0, once.text
    report = tmp_path / "report.xml"
    again = quickstart.run("test", "//models:normalize", "--runs", "2", "--junit", str(report))
    assert again.exit_code == 0, again.text
    ended = [e["status"] for e in again.events if e.get("label") == "//models:normalize_answers"]
    assert ended == ["passed", "passed"]
    assert again.executed == 2
    metrics = again.finished["metrics"]
    assert metrics["actions"] == metrics["executed"] + metrics["cached"]
    notes = [event["text"] for event in again.events if event["event"] == "note"]
    assert notes == ["run 1 of 2", "run 2 of 2"]
    names = [case.name for suite in JUnitXml.fromfile(str(report)) for case in suite]
    cases = ("server", "golden/normalize.json")
    assert names == [f"{name} [run {run}]" for run in (1, 2) for name in cases]


def test_the_folder_of_a_report_is_made(tmp_path: Path) -> None:
    prepare(tmp_path / "not/there/report.xml")
    assert (tmp_path / "not/there").is_dir()
    assert not (tmp_path / "not/there/report.xml").exists()


@pytest.mark.parametrize("path", ["file/report.xml", "folder", "file/below/report.xml"])
def test_a_report_that_cannot_be_written_is_told_before_anything_runs(
    tmp_path: Path, path: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match=r"--junit .* cannot be written"):
        prepare(tmp_path / path)

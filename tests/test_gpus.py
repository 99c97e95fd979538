"""Commands with `gpu`. The GPUs are told by a library that stands in for NVML, so that machines of
any kind can be shown; tests/gpu shows a real one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import MINIMAL, WorkspaceFolder
from parts import nvml
from parts.nvml import FakeGpu

from tritonbuild.gpus import GIB, Gpu, GpuNeed

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]
L4 = FakeGpu("GPU-l4", "NVIDIA L4", (8, 9), 24)
H100, OTHER_H100 = FakeGpu("GPU-h100-0"), FakeGpu("GPU-h100-1")
SAY = """
[commands.{name}]
argv    = ["sh", "-c", "echo $CUDA_VISIBLE_DEVICES > seen"]
outputs = ["seen"]
gpu     = {gpu}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nvml")
    nvml.make_library(folder)
    return folder


@pytest.fixture
def seeing(
    workspace: MakeWorkspace, library: Path
) -> Callable[[str, list[FakeGpu]], WorkspaceFolder]:
    """A workspace with a manifest, on a machine with these GPUs."""

    def make(text: str, gpus: list[FakeGpu]) -> WorkspaceFolder:
        folder = workspace({"triton.toml": MINIMAL + text})
        folder.environment |= nvml.environment(library, gpus)
        return folder

    return make


Seeing = Callable[[str, list[FakeGpu]], WorkspaceFolder]


def seen(folder: WorkspaceFolder, name: str = "plan") -> str:
    """The GPUs that a command was given."""
    return folder.output(f"_/{name}/seen").read_text().strip()


@pytest.mark.parametrize(
    ("gpu", "given"),
    [
        ("true", "GPU-l4"),
        ("{}", "GPU-l4"),
        ('{ name = "H100" }', "GPU-h100-0"),
        ('{ name = "h100" }', "GPU-h100-0"),
        ('{ capability = ">=9.0" }', "GPU-h100-0"),
        ('{ memory = "40GiB" }', "GPU-h100-0"),
        ("{ count = 2 }", "GPU-h100-0,GPU-h100-1"),
    ],
)
def test_a_command_is_given_a_gpu_that_fits(seeing: Seeing, gpu: str, given: str) -> None:
    folder = seeing(SAY.format(name="plan", gpu=gpu), [L4, H100, OTHER_H100])
    folder.build()
    assert seen(folder) == given


def test_a_command_without_gpu_is_given_none(seeing: Seeing) -> None:
    folder = seeing(SAY.format(name="plan", gpu="false"), [L4])
    folder.build()
    assert seen(folder) == ""


@pytest.mark.parametrize(
    ("name", "gpu", "fits"),
    [
        ("L4", "NVIDIA L4", True),
        ("L4", "NVIDIA L40S", False),
        ("A100", "NVIDIA A100-SXM4-80GB", True),
        ("H100 80GB", "NVIDIA H100 80GB HBM3", True),
        ("H10", "NVIDIA H100 80GB HBM3", False),
        ("nvidia", "NVIDIA L4", True),
        ("", "NVIDIA L4", True),
        (".*", "NVIDIA L4", False),
    ],
)
def test_a_name_is_made_of_whole_words(name: str, gpu: str, fits: bool) -> None:
    assert GpuNeed(name=name).fits(Gpu("GPU-0", gpu, "9.0", 80 * GIB, 0)) is fits


def test_capabilities_are_compared_as_versions() -> None:
    need = GpuNeed(capability=">=8.6,<12")
    fitting = [c for c in ("8.0", "8.6", "9.0", "10.0", "12.0")
               if need.fits(Gpu("GPU-0", "NVIDIA X", c, GIB, 0))]  # fmt: skip
    assert fitting == ["8.6", "9.0", "10.0"]


def test_a_second_build_is_cached(seeing: Seeing) -> None:
    folder = seeing(SAY.format(name="plan", gpu="true"), [H100])
    assert folder.build().targets == {"//:plan": "built"}
    assert folder.build().targets == {"//:plan": "cached"}


def test_another_gpu_of_the_same_kind_makes_the_same(seeing: Seeing, library: Path) -> None:
    folder = seeing(SAY.format(name="plan", gpu="true"), [H100])
    folder.build()
    folder.environment |= nvml.environment(library, [OTHER_H100])
    assert folder.build().targets == {"//:plan": "cached"}


def test_another_kind_or_driver_makes_it_anew_and_why_tells(seeing: Seeing, library: Path) -> None:
    folder = seeing(SAY.format(name="plan", gpu="true"), [H100])
    folder.build()
    folder.environment |= nvml.environment(library, [H100], driver="580.65.06")
    assert folder.build().targets == {"//:plan": "built"}
    (why, _) = folder.run("why", "//:plan").events
    assert why["reasons"] == ["platform gpu-driver changed: 550.54.15 → 580.65.06"]
    folder.environment |= nvml.environment(library, [L4], driver="580.65.06")
    assert folder.build().targets == {"//:plan": "built"}
    (why, _) = folder.run("why", "//:plan").events
    assert why["reasons"] == [
        "platform gpu changed: NVIDIA H100 80GB HBM3 → NVIDIA L4",
        "platform gpu-capability changed: 9.0 → 8.9",
    ]


def test_commands_without_gpu_do_not_depend_on_it(seeing: Seeing, library: Path) -> None:
    folder = seeing(SAY.format(name="plan", gpu="false"), [H100])
    folder.build()
    folder.environment |= nvml.environment(library, [L4], driver="580.65.06")
    assert folder.build().targets == {"//:plan": "cached"}


def test_no_gpu_that_fits_ends_with_thirty_six(seeing: Seeing) -> None:
    gpu = '{ count = 2, name = "A100", capability = ">=8.0", memory = "40GiB" }'
    outcome = seeing(SAY.format(name="plan", gpu=gpu), [L4]).run("build", "//...")
    assert outcome.exit_code == 36
    error = outcome.error
    assert (error["label"], error["file"], error["line"]) == ("//:plan", "triton.toml", 4)
    assert error["found"] == (
        "this machine does not have the GPU that is wanted; it has "
        "NVIDIA L4 (capability 8.9, 24 GiB)"
    )
    assert error["expected"] == ("2 GPUs of one kind called A100 of capability >=8.0 with 40 GiB")
    assert error["remedy"]


def test_two_kinds_are_not_two_gpus_of_one(seeing: Seeing) -> None:
    outcome = seeing(SAY.format(name="plan", gpu="{ count = 2 }"), [L4, H100]).run("build", "//...")
    assert outcome.exit_code == 36


def test_the_rest_of_a_build_goes_on(seeing: Seeing) -> None:
    text = """
    [commands.plan]
    matrix  = { gpu = ["L4", "H100"] }
    argv    = ["sh", "-c", "echo $CUDA_VISIBLE_DEVICES > seen"]
    outputs = ["seen"]
    gpu     = { name = "{matrix.gpu}" }
    """
    outcome = seeing(text, [H100]).run("build", "//...", "--keep-going")
    assert outcome.exit_code == 36
    assert outcome.targets == {"//:plan[gpu=H100]": "built", "//:plan[gpu=L4]": "failed"}


def test_a_machine_without_a_driver_says_so(workspace: MakeWorkspace) -> None:
    folder = workspace({"triton.toml": MINIMAL + SAY.format(name="plan", gpu="true")})
    outcome = folder.run("build", "//...")
    if outcome.exit_code == 0:
        pytest.skip("this machine has a GPU")
    assert outcome.exit_code == 36
    assert outcome.error["found"].startswith("no GPU can be used here: ")
    assert "driver" in outcome.error["remedy"]


def test_a_driver_that_does_not_match_its_library_is_told(seeing: Seeing, library: Path) -> None:
    folder = seeing(SAY.format(name="plan", gpu="true"), [])
    folder.environment |= nvml.environment(library, [H100], error=nvml.MISMATCH)
    outcome = folder.run("build", "//...")
    assert outcome.exit_code == 36
    assert outcome.error["found"].endswith("version mismatch")
    assert outcome.error["remedy"] == "the driver was upgraded: restart the machine"


def test_a_gpu_that_does_not_work_is_passed_over(seeing: Seeing) -> None:
    lost = FakeGpu("GPU-lost", error=nvml.LOST)
    folder = seeing(SAY.format(name="plan", gpu="true"), [lost, L4])
    folder.build()
    assert seen(folder) == "GPU-l4"
    folder = seeing(SAY.format(name="plan", gpu="true"), [lost])
    assert "GPU 0 that does not work (GPU is lost)" in folder.run("build", "//...").error["found"]


def test_a_divided_gpu_is_passed_over(seeing: Seeing) -> None:
    divided = FakeGpu("GPU-mig", mig=True)
    outcome = seeing(SAY.format(name="plan", gpu="true"), [divided]).run("build", "//...")
    assert "NVIDIA H100 80GB HBM3 divided by MIG, not supported" in outcome.error["found"]


def test_a_gpu_is_never_given_to_two_at_once(seeing: Seeing) -> None:
    text = """
    [commands.busy]
    matrix  = { n = [1, 2, 3, 4, 5, 6] }
    argv    = ["sh", "busy.sh", "{matrix.n}"]
    inputs  = ["busy.sh"]
    outputs = ["seen"]
    gpu     = true
    cpu     = 0.1
    """
    folder = seeing(text, [H100, OTHER_H100])
    busy = "echo $CUDA_VISIBLE_DEVICES $(date +%s%N) > seen; sleep 0.3; date +%s%N >> seen"
    folder.write({"busy.sh": busy})
    assert folder.run("build", "//...", "--jobs", "6").exit_code == 0
    spans: dict[str, list[tuple[int, int]]] = {}
    for n in range(1, 7):
        gpu, *span = seen(folder, f"busy[n={n}]").split()
        spans.setdefault(gpu, []).append((int(span[0]), int(span[1])))
    assert set(spans) == {H100.uuid, OTHER_H100.uuid}
    for ordered in map(sorted, spans.values()):
        for (_, ended), (begun, _) in itertools.pairwise(ordered):
            assert ended < begun


def test_the_driver_s_libraries_are_seen_by_commands_with_gpu_only(
    seeing: Seeing, library: Path
) -> None:
    (library / "libcuda.so.1").write_text("cuda\n")
    (library / "libother.so.1").write_text("other\n")
    text = """
    [commands.LOOK]
    argv    = ["sh", "-c", "echo $LD_LIBRARY_PATH > seen; ls ${LD_LIBRARY_PATH:-/build} >> seen"]
    outputs = ["seen"]
    """
    text = text.replace("LOOK", "with") + "gpu = true\n" + text.replace("LOOK", "without")
    folder = seeing(text, [H100])
    folder.build()
    path, *names = seen(folder, "with").split()
    assert path.endswith("/nvidia")
    assert names == ["libcuda.so.1", nvml.LIBRARY]
    assert "nvidia" not in seen(folder, "without")


def test_its_own_library_path_comes_after_the_driver_s(seeing: Seeing) -> None:
    text = """
    [commands.plan]
    argv    = ["sh", "-c", "echo $LD_LIBRARY_PATH > seen"]
    outputs = ["seen"]
    gpu     = true
    env     = { LD_LIBRARY_PATH = "/mine", CUDA_VISIBLE_DEVICES = "all" }
    """
    folder = seeing(text, [H100])
    folder.build()
    assert seen(folder).endswith("/nvidia:/mine")


def test_a_dry_run_asks_for_no_gpu(workspace: MakeWorkspace) -> None:
    folder = workspace({"triton.toml": MINIMAL + SAY.format(name="plan", gpu="true")})
    assert folder.run("build", "//...", "--dry-run").exit_code == 0


@pytest.mark.parametrize(
    "gpu",
    [
        "{ count = 0 }",
        '{ capability = "new" }',
        '{ memory = "much" }',
        '{ model = "H100" }',
        '"H100"',
        "1",
    ],
)
def test_a_wrong_gpu_is_told_with_its_line(seeing: Seeing, gpu: str) -> None:
    outcome = seeing(SAY.format(name="plan", gpu=gpu), []).run("build", "//...")
    assert outcome.exit_code == 2
    assert outcome.error["line"] == 7
    assert outcome.error["key"].startswith("commands.plan.gpu")


def test_doctor_lists_gpus(seeing: Seeing) -> None:
    outcome = seeing("", [L4, H100]).run("doctor")
    (finding,) = [e for e in outcome.events if e.get("subject") == "GPU"]
    assert finding["ok"] is True
    assert finding["text"] == (
        "NVIDIA L4 (capability 8.9, 24 GiB), NVIDIA H100 80GB HBM3 (capability 9.0, 80 GiB); "
        "driver 550.54.15, CUDA 12.4"
    )

"""Distributions: the release on PyPI, really started, and folders."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen
from zipfile import ZipFile

import pytest
from parts.bench import Bench
from parts.desk import resolved
from parts.workspace import Make, Workspace, workspaces
from tritonbuild.rules.distribution import DistributionInfo
from tritonbuild.rules.model_config.releases import FILE, release_in
from tritonbuild.rules.python.fetch import fetch_file
from tritonbuild.rules.python.pypi import resolve_alone
from tritonbuild.rules.pytriton import RELEASES, lay_out_pytriton

from tritonbuild import lock
from tritonbuild.merkle import Folder
from tritonbuild.rule import ActionError, AnalysisError, Context, Source

PYPI = """
    [distributions.pypi]
    pypi = "nvidia-pytriton==0.7.0"

    [shown.server]
    distribution = ":pypi"
    tree = true
    environments = { environment = [] }
"""
CONFIG = """
backend: "python"
input [{ name: "X" data_type: TYPE_FP32 dims: [2] }]
output [{ name: "Y" data_type: TYPE_FP32 dims: [2] }]
"""
MODEL = """
import triton_python_backend_utils as pb

class TritonPythonModel:
    def execute(self, requests):
        inputs = [pb.get_input_tensor_by_name(request, "X").as_numpy() for request in requests]
        return [pb.InferenceResponse([pb.Tensor("Y", x * 2)]) for x in inputs]
"""
FOLDER = {
    "server/bin/tritonserver": "",
    "server/backends/python/libtriton_python.so": "",
    "server/backends/onnxruntime/libtriton_onnxruntime.so": "",
    "server/repoagents/checksum/libtritonrepoagent_checksum.so": "",
}


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    with workspaces(tmp_path_factory.mktemp("distributions")) as made:
        yield made


@pytest.fixture(scope="module")
def pypi(make: Make) -> Workspace:
    workspace: Workspace = make(PYPI)
    workspace.build("server")
    return workspace


def info_of(workspace: Workspace, name: str) -> DistributionInfo:
    info = workspace.analyze(name).get(DistributionInfo)
    assert isinstance(info, DistributionInfo)
    return info


def test_the_release_on_pypi_is_described(pypi: Workspace) -> None:
    info = info_of(pypi, "pypi")
    assert (info.name, info.release) == ("//:pypi", "2.51.0")
    assert info.components == {"backends": ("python",), "repoagents": (), "caches": ("local",)}
    assert info.constraints == ("numpy<2",)


def test_it_is_laid_out_as_in_the_images(pypi: Workspace) -> None:
    tree = pypi.output("server/tree")
    files = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}
    assert {path for path in files if not path.startswith("lib/")} == {
        "LICENSE",
        "backends/python/libtriton_python.so",
        "backends/python/triton_python_backend_stub",
        "backends/python/triton_python_backend_utils.py",
        "bin/tritonserver",
        "caches/local/libtritoncache_local.so",
    }
    assert (tree / "repoagents").is_dir()
    assert not [path for path in files if "libpython" in path]


def test_the_server_and_its_stub_can_be_run(pypi: Workspace) -> None:
    tree = pypi.output("server/tree")
    for program in ("bin/tritonserver", "backends/python/triton_python_backend_stub"):
        assert os.access(tree / program, os.X_OK)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ask(url: str, body: object = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data), timeout=10) as response:
        content: bytes = response.read()
        return content


@pytest.fixture
def server(pypi: Workspace, tmp_path: Path) -> Iterator[str]:
    """The real server with a model, with nothing of this process's environment; its address."""
    tree, environment = pypi.output("server/tree"), pypi.output("server/environment")
    (tmp_path / "models/double/1").mkdir(parents=True)
    (tmp_path / "models/double/config.pbtxt").write_text(CONFIG)
    (tmp_path / "models/double/1/model.py").write_text(MODEL)
    port, log = free_port(), tmp_path / "log"
    argv: list[str | Path] = [
        tree / "bin/tritonserver",
        f"--model-repository={tmp_path}/models",
        f"--backend-directory={tree}/backends",
        f"--repoagent-directory={tree}/repoagents",
        f"--cache-directory={tree}/caches",
        "--http-address=127.0.0.1",
        f"--http-port={port}",
        "--allow-grpc=false",
        "--allow-metrics=false",
    ]
    variables = {
        "PATH": f"{environment}/bin:/usr/bin:/bin",
        "LD_LIBRARY_PATH": f"{tree}/lib:{environment}/lib",
    }
    with log.open("w") as output:
        process = subprocess.Popen(argv, env=variables, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 120
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                ask(f"http://127.0.0.1:{port}/v2/health/ready")
            except URLError:
                time.sleep(0.05)
            else:
                break
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def test_the_server_runs_a_numpy_model_in_our_python(server: str, pypi: Workspace) -> None:
    trees = [pypi.output("server/tree"), pypi.output("server/environment")]
    before = {path for tree in trees for path in tree.rglob("*")}
    x = {"name": "X", "datatype": "FP32", "shape": [2], "data": [1.0, 2.5]}
    answer = json.loads(ask(f"{server}/v2/models/double/infer", {"inputs": [x]}))
    assert answer["outputs"][0]["data"] == [2.0, 5.0]
    assert {path for tree in trees for path in tree.rglob("*")} == before


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


@pytest.mark.parametrize("version", RELEASES)
def test_every_known_wheel_can_be_laid_out(bench: Bench, pypi: Workspace, version: str) -> None:
    host = info_of(pypi, "pypi").host
    assert host is not None
    python = host.python
    request = lock.Request(
        "pypi-nodeps", (f"nvidia-pytriton=={version}",), python.version, python.platform
    )
    (wheel,) = resolved(resolve_alone, request)
    parameters = {"kind": "pypi", "name": wheel.name, "sha256": wheel.sha256}
    fetched = bench.run(fetch_file, parameters=parameters, outputs=[wheel.name])
    tree = bench.run(
        lay_out_pytriton,
        parameters={"python": "3.11"},
        inputs={"wheel": fetched.outputs[wheel.name]},
        outputs=["tree"],
    ).outputs["tree"]
    assert isinstance(tree, Folder)
    path = bench.path(tree)
    libraries = f"{path}/lib:{pypi.output('server/environment')}/lib"
    for program in ("bin/tritonserver", "backends/python/triton_python_backend_stub"):
        linked = subprocess.run(
            ["ldd", path / program],
            env={"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": libraries},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert "not found" not in linked


def test_a_wheel_without_a_stub_for_the_python_is_an_error(bench: Bench) -> None:
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:
        archive.writestr("pytriton/tritonserver/bin/tritonserver", "")
    with pytest.raises(ActionError, match="no backends/python/triton_python_backend_stub"):
        bench.run(
            lay_out_pytriton,
            parameters={"python": "3.11"},
            inputs={"wheel": bench.file(buffer.getvalue())},
            outputs=["tree"],
        )


def test_a_folder_is_taken_as_it_is(make: Make) -> None:
    info = info_of(make('[distributions.own]\npath = "server"\n', FOLDER), "own")
    assert info.host is not None
    assert info.host.tree == Source("server")
    assert (info.release, info.release_file) == ("", None)
    assert info.components == {
        "backends": ("onnxruntime", "python"),
        "repoagents": ("checksum",),
        "caches": (),
    }
    assert info.constraints == ("numpy",)


def test_a_folder_s_file_tells_the_release(make: Make) -> None:
    workspace = make('[distributions.own]\npath = "server"\n', {**FOLDER, f"server/{FILE}": ""})
    assert info_of(workspace, "own").release_file == Source(f"server/{FILE}")


@pytest.mark.parametrize(
    ("content", "release"),
    [
        (b"2.51.0\n", "2.51.0"),
        (b"2.70.0dev", "2.70.0"),
        (b"", ""),
        (b"version https://git-lfs.github.com/spec/v1\n", ""),
        (b"\xff2.51.0", ""),
    ],
)
def test_the_release_in_a_file(content: bytes, release: str) -> None:
    assert release_in(content) == release


def test_a_lock_that_names_no_wheel_is_an_error(make: Make) -> None:
    workspace = make(PYPI)
    request = lock.Request(
        "pypi-nodeps", ("nvidia-pytriton==0.7.0",), "3.11", "x86_64-linux-gnu2.36"
    )
    file = lock.LockedFile("evil.whl", "https://example.org/evil.whl", "0" * 64, 0)
    lock.Lock({request: (file,)}).write(workspace.root)
    with pytest.raises(AnalysisError, match=r"triton\.lock is damaged: .*evil") as error:
        workspace.analyze("pypi")
    assert "tritonbuild lock" in error.value.problems[0].remedy


@pytest.mark.parametrize("count", [0, 2])
def test_a_lock_that_names_another_number_of_wheels_is_an_error(make: Make, count: int) -> None:
    workspace = make(PYPI)
    request = lock.Request(
        "pypi-nodeps", ("nvidia-pytriton==0.7.0",), "3.11", "x86_64-linux-gnu2.36"
    )
    files = tuple(
        lock.LockedFile(f"a-{version}-py3-none-any.whl", "https://example.org", "0" * 64, 0)
        for version in range(count)
    )
    lock.Lock({request: files}).write(workspace.root)
    with pytest.raises(AnalysisError, match=rf"triton\.lock has {count or 'no'} files") as error:
        workspace.analyze("pypi")
    assert "tritonbuild lock" in error.value.problems[0].remedy


def test_requirements_can_be_said(make: Make) -> None:
    manifest = '[distributions.own]\npath = "server"\nrequirements = ["numpy==1.26.*"]\n'
    assert info_of(make(manifest, FOLDER), "own").constraints == ("numpy==1.26.*",)


def test_a_component_that_is_absent_is_an_error_that_lists_what_there_is(make: Make) -> None:
    class Target:
        def error(self, found: str, **more: str) -> AnalysisError:
            return AnalysisError("\n".join((found, *more.values())))

    info = info_of(make('[distributions.own]\npath = "server"\n', FOLDER), "own")
    target: Context[object] = Target()  # type: ignore[assignment]  # says errors, no more
    info.component("backends", "onnxruntime", target)
    with pytest.raises(AnalysisError) as error:
        info.component("backends", "onxruntime", target)
    text = str(error.value)
    assert "//:own has no 'onxruntime' among its backends" in text
    assert "one of: onnxruntime, python" in text
    assert "did you mean 'onnxruntime'?" in text
    with pytest.raises(AnalysisError) as error:
        info.component("backends", "pytorch", target)
    assert "did you mean" not in str(error.value)
    assert "name a distribution that has it" in str(error.value)
    assert "[backends.pytorch] path = …" in str(error.value)
    with pytest.raises(AnalysisError, match="it has no caches"):
        info.component("caches", "local", target)


@pytest.mark.parametrize(
    ("attributes", "found"),
    [
        ("", "nothing that says where it is"),
        ('pypi = "nvidia-pytriton"\npath = "server"', "`pypi` and `path`"),
        ('pypi = "tritonclient==2.51.0"', "is not known to carry a Triton"),
        ('pypi = "nvidia-pytriton=0.7"', "is not a requirement"),
        ('path = "server/bin"', "server/bin holds tritonserver"),
        ('path = "elsewhere"', "there is no elsewhere"),
    ],
)
def test_a_distribution_that_says_something_wrong_is_an_error(
    make: Make, attributes: str, found: str
) -> None:
    with pytest.raises(AnalysisError) as error:
        make(f"[distributions.own]\n{attributes}\n", FOLDER).analyze("own")
    assert found in str(error.value)


@pytest.mark.parametrize(
    ("attributes", "found"),
    [
        ('release = "25.13"', "'25.13' is no release"),
        ('release = "25.08"\nimage = "x.example/y:1"', "`release` and `image`"),
        ('release = "25.08"\ngpu = false', "never published an image of 25.08 for CPUs only"),
        ('min = "x.example/y:1"', "`min` without `full`"),
        ('release = "25.08"\npypi = "nvidia-pytriton"', "`pypi` and `release`"),
        ('release = "25.08"\nslim = ["header"]', "nothing is called 'header'"),
        (
            'min = "nvcr.io/nvidia/tritonserver:24.09-py3-min"\n'
            'full = "nvcr.io/nvidia/tritonserver:24.10-py3"',
            "min of 24.09 and full of 24.10",
        ),
        ('pypi = "nvidia-pytriton==0.7.0"\nplatform = "linux/amd64"', "`platform` without images"),
        ('full = "x.example/UPPER"', "UPPER"),
    ],
)
def test_images_that_do_not_go_together_are_an_error(
    make: Make, attributes: str, found: str
) -> None:
    with pytest.raises(AnalysisError, match=re.escape(found)):
        make(f"[distributions.own]\n{attributes}\n", FOLDER).analyze("own")

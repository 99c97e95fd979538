"""What is said of images that cannot be: where it stands in the manifest, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from parts.images import Memory, file, folder, link
from parts.serving import HELP, IMAGE, small
from parts.tree import Tree

from tritonbuild.errors import ExitCode, Problem
from tritonbuild.oci import Compression, Member
from tritonbuild.oci.layout import write_layout

BUILD, MANIFEST, ANALYSIS = ExitCode.BUILD_FAILED, ExitCode.USAGE, ExitCode.ANALYSIS_FAILED
BASES = """\
[bases.below]
layout = "below"
[bases.arm]
scratch = true
platform = "linux/arm64"
[bases.bare]
layout = "below"
python = "3.11"
glibc = "2.36"
[bases.other]
layout = "below"
python = "3.9"
glibc = "2.31"
[caches.redis]
path = "redis"
[backends.python]
[backends.missing]
"""
PYTHON = """\
[models.scales]
backend = "python"
versions = { 1 = "scales" }
"""
BELOW = [
    folder("usr"), folder("usr/lib"), link("lib", "usr/lib"), folder("tmp", 0o1777),
    file("usr/lib/there", "there"), file("etc/passwd", "root:x:0:0::/:/bin/sh\n"),
    file("etc/group", "root:x:0:\n"),
]  # fmt: skip


@dataclass
class Bad:
    root: Path

    def problems(self, images: str, files: Mapping[str, str] | None = None) -> list[Problem]:
        """Of a build of //serving:server."""
        return self.outcome(images, files)[1]

    def outcome(
        self, images: str, files: Mapping[str, str] | None = None
    ) -> tuple[ExitCode, list[Problem]]:
        tree = Tree(self.root)
        tree.write({"serving/triton.toml": images, **(files or {})})
        return tree.problems("//serving:server")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images") / "cache"


@pytest.fixture
def bad(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Bad:
    monkeypatch.setenv("TRITONBUILD_CACHE_DIR", str(cache))
    workspace = small(tmp_path / "workspace", IMAGE, cache=cache)
    manifest = workspace.root / "triton.toml"
    release = '[distributions.release]\npath = "release"\n'
    text = manifest.read_text().replace(release, f"{release}requirements = []\n")
    manifest.write_text(text + BASES)
    workspace.write(
        {
            "release/backends/python/libtriton_python.so": b"backend",
            "redis/libtritoncache_redis.so": b"cache",
            "serving/text": "text",
            "serving/folder/a": "a",
            "models/triton.toml": PYTHON,
            "models/scales/model.py": "",
        }
    )
    below(workspace.root / "below", BELOW)
    return Bad(workspace.root)


def below(path: Path, *layers: list[Member]) -> None:
    image = Memory().image(list(layers), Compression.GZIP)
    write_layout(image.source, image.descriptor, path)


def more(text: str) -> str:
    return f"{IMAGE}{text}\n"


@pytest.mark.parametrize(
    ("images", "code", "found", "key", "remedy"),
    [
        (more('env = { "A=B" = "" }'), ANALYSIS, "no name of a variable", "env", ""),
        (more("ports = [70000]"), ANALYSIS, "70000 is no port", "ports", ""),
        (
            more('platform = "linux/arm64"').replace("//:nothing", "//:arm"), ANALYSIS,
            "the image is for linux/arm64, and the server of //:release for linux/amd64",
            "platform", "",
        ),
        (
            more('platform = "linux/arm64"').replace('base = "//:nothing"\n', ""), ANALYSIS,
            "the image is for linux/arm64, and the server of //:release for linux/amd64",
            "platform", "",
        ),
        (
            more('base = "ubuntu:22.04"').replace('base = "//:nothing"\n', ""), MANIFEST,
            "base is 'ubuntu:22.04'", "base", '[bases.X] image = "ubuntu:22.04", and base = ":X"',
        ),
        (
            IMAGE.replace("//:nothing", "No Image"), MANIFEST, "'No Image' is not a label", "base",
            "",
        ),
        (
            more('tags = ["ok:{git.short}", "Localhost:5055/X/Y"]'), ANALYSIS,
            "'Localhost:5055/X/Y' names no image", "tags[1]", "",
        ),
        (more('tags = ["x/y:{short}"]'), ANALYSIS, "'x/y:{short}' names no image", "tags[0]", ""),
        (
            more('tags = ["x/y:{git.date}"]'), ANALYSIS,
            "'x/y:{git.date}' names no image", "tags[0]", "",
        ),
        (
            more('server = { load_model = ["one", "twa"] }'), ANALYSIS,
            "the image carries no model 'twa'", "server.load_model", "did you mean 'two'?",
        ),
        (
            more('server = { load_model = ["*", "one"] }'), ANALYSIS,
            "`*`, which is all models, and others", "server.load_model", "",
        ),
        (more('attach = ["sbom"]'), MANIFEST, "'sbom'", "attach[0]", ""),
        (more('platform = "amd64"'), ANALYSIS, "is not OS/ARCHITECTURE", "platform", ""),
        (more('platform = "windows/amd64"'), ANALYSIS, "is no Linux", "platform", ""),
        (
            IMAGE.replace("//:nothing", "//:arm"), ANALYSIS,
            "the image is for linux/amd64, and its base for linux/arm64", "platform", "",
        ),
        (more('user = ""'), ANALYSIS, "'' is no user", "user", ""),
        (more('user = "a:b:c"'), ANALYSIS, "'a:b:c' is no user", "user", ""),
        (more('user = "me:staff"'), BUILD, "the base has no user 'me'", "user", ""),
        (more('user = "0:staff"'), BUILD, "the base has no group 'staff'", "user", ""),
        (more('stop_signal = "KILL IT"'), ANALYSIS, "is no signal", "stop_signal", ""),
        (more('healthcheck = ["/probe"]'), ANALYSIS, "health check that begins", "healthcheck", ""),
        (
            more('command = ["x"]\nserver = { log_verbose = 1 }'), ANALYSIS,
            "`server` beside `command`", "server", "",
        ),
        (more('compression = "lzma"'), MANIFEST, "'lzma'", "compression", ""),
        (more('lables = {}'), MANIFEST, "lables", "lables", "labels"),
        (more('size_budget = "much"'), ANALYSIS, "'much' is not a size", "size_budget", ""),
        (
            more('size_budget = "1MB"'), BUILD, "model one version 1", "size_budget",
            "tritonbuild info",
        ),
        (
            more("server = { model_contrl_mode = 'none' }"), BUILD,
            "no flag --model-contrl-mode", "server.model_contrl_mode", "model_control_mode",
        ),
        (
            more("server = { Log = 1 }"), ANALYSIS, "'Log' is no flag", "server.Log", "",
        ),
        (
            more("server = { model_repository = '/x' }"), ANALYSIS,
            "`model_repository` is the image's own", "server.model_repository", "take it away",
        ),
        (
            more("server = { cache_config = { local = { size = 'large' } } }"), ANALYSIS,
            "'large' is not a size", "server.cache_config", "",
        ),
        (
            more("server = { cache_config = { redis = { password = 'secret' } } }"), ANALYSIS,
            "a secret in a manifest", "server.cache_config.redis.password",
            "TRITONCACHE_REDIS_PASSWORD",
        ),
        (more('caches = ["local", "redis"]'), ANALYSIS, "2 response caches", "", "separately"),
        (
            more('backends = ["missing"]'), ANALYSIS, "//:release has no 'missing'", "", "path",
        ),
        (more('backends = ["nothing"]'), MANIFEST, "nothing", "backends", ""),
        (IMAGE.replace("//two", "//nowhere"), MANIFEST, "nowhere", "models", ""),
        (
            more('annotations = { "org.example.x" = "{git.shrot}" }'), ANALYSIS,
            "{git.shrot} means nothing", 'annotations."org.example.x"', "git.short",
        ),
        (
            more('annotations = { x = "{git.commit}" }'), ANALYSIS,
            "{git.commit} is not known", "annotations.x", "",
        ),
        (more('tags = ["x:{git.tga}"]'), ANALYSIS, "{git.tga} means nothing", "tags[0]", "git.tag"),
        (more('files = { "etc/x" = "text" }'), ANALYSIS, "no path in the image", "etc/x", ""),
        (more('files = { "/../x" = "text" }'), ANALYSIS, "no path in the image", "/../x", ""),
        (more('files = { "/x" = "nothing" }'), ANALYSIS, "nothing", "/x", ""),
        (more('files = { "/" = "text" }'), BUILD, "in the place of the root", "files", ""),
        (
            more('files = { "/x" = "text", "/x/y" = "text" }'), BUILD,
            "/x/y would lie below /x, which is a file", "", "elsewhere",
        ),
        (
            more('files = { "/opt/tritonserver/bin/tritonserver" = "text" }'), BUILD,
            "/opt/tritonserver/bin/tritonserver of files would replace another file", "",
            "elsewhere",
        ),
        (
            more('files = { "/lib/there" = "text" }').replace("//:nothing", "//:below"), BUILD,
            "/usr/lib/there of files would replace another file", "", "elsewhere",
        ),
        (
            more('files = { "/tmp" = "folder" }').replace("//:nothing", "//:below"), BUILD,
            "/tmp of files would replace another folder", "", "elsewhere",
        ),
        (
            more('files = { "/usr" = "text" }').replace("//:nothing", "//:below"), BUILD,
            "/usr of files would replace another folder", "", "elsewhere",
        ),
        (
            IMAGE.replace('"//two"', '"//models:scales"'), ANALYSIS,
            "the base has no Python that is known", "base", "bookworm",
        ),
        (
            IMAGE.replace('"//two"', '"//models:scales"').replace("//:nothing", "//:other"),
            ANALYSIS, "the base has Python 3.9", "base", "bookworm",
        ),
        (
            IMAGE.replace('"//two"', '"//models:scales"').replace("//:nothing", "//:bare"),
            BUILD, "the image has no /usr/bin/python3.11", "", "packages",
        ),
        (
            IMAGE.replace('"//two"', '"//models:scales"').replace("//:nothing", "//:bare"),
            BUILD, "libpython3.11.so.1.0", "", "packages",
        ),
        (
            f'{IMAGE.replace("images.server", "images.one")}[images.server]\nimages = [":one"]\n'
            "ports = [1]\n", ANALYSIS, "`ports` beside `images`", "ports", "",
        ),
        (
            '[images.server]\nimages = ["//:nothing", "//:below"]\n', BUILD,
            "two images for linux/amd64", "images", "",
        ),
        (
            '[images.both]\nimages = ["//:nothing", "//:arm"]\n'
            '[images.server]\nimages = [":both"]\n', BUILD, "an index in an index", "images", "",
        ),
    ],
)  # fmt: skip
def test_it_is_told_where_it_stands(
    images: str, code: ExitCode, found: str, key: str, remedy: str, bad: Bad
) -> None:
    exit_code, problems = bad.outcome(images)
    assert exit_code is code, problems
    told = [problem for problem in problems if found in problem.found]
    assert told, problems
    assert told[0].file == "serving/triton.toml"
    assert key in told[0].key
    assert remedy in told[0].remedy


def test_all_models_may_be_loaded_by_an_asterisk(bad: Bad) -> None:
    help_ = HELP.replace("--log-verbose", "--load-model")
    (bad.root / "release/bin/tritonserver").write_text(help_)
    said = 'server = { model_control_mode = "explicit", load_model = ["*"] }'
    assert bad.problems(more(said)) == []


@pytest.mark.parametrize(
    ("suite", "packages", "remedy"),
    [
        ("bookworm", ["bash"], "add python3 and libpython3.11 to the base's packages"),
        ("trixie", ["bash"], "take a base of Debian packages (bookworm has Python 3.11)"),
        ("trixie", ["python3"], "take a base of Debian packages (bookworm has Python 3.11)"),
    ],
)
def test_a_debian_base_without_the_python_is_told_where_it_is(
    suite: str, packages: list[str], remedy: str, bad: Bad
) -> None:
    manifest = f'[bases.debian]\ndebian = "{suite}"\npackages = {packages}\n'
    (bad.root / "triton.toml").write_text((bad.root / "triton.toml").read_text() + manifest)
    files = [f"{name}_3.13.5-1_amd64.deb" for name in packages]
    locked = f'[[resolution]]\nkind = "debian"\nrequest = {packages}\n'
    locked += f'platform = "{suite}/amd64"\n' + "".join(
        f'[[resolution.files]]\nname = "{name}"\nurl = "https://debian.invalid/{name}"\n'
        f'sha256 = "{"0" * 64}"\nsize = 1\n'
        for name in files
    )
    (bad.root / "triton.lock").write_text(f"version = 1\n{locked}")
    code, problems = bad.outcome(
        IMAGE.replace('"//two"', '"//models:scales"').replace("//:nothing", "//:debian")
    )
    assert code is ANALYSIS, problems
    assert problems[0].key == "images.server.base"
    assert problems[0].remedy.startswith(remedy)


def test_all_that_is_wrong_is_told_at_once(bad: Bad) -> None:
    said = "server = { contrl = 1 }\nsize_budget = '1MB'\nfiles = { '/models/one' = 'text' }"
    found = [problem.found for problem in bad.problems(more(said))]
    assert len(found) == 3, found


def test_more_layers_than_runtimes_take_are_refused(bad: Bad) -> None:
    below(bad.root / "tall", *[[file(f"f{number}", str(number))] for number in range(125)])
    manifest = (bad.root / "triton.toml").read_text()
    (bad.root / "triton.toml").write_text(f'{manifest}[bases.tall]\nlayout = "tall"\n')
    (problem,) = bad.problems(IMAGE.replace("//:nothing", "//:tall"))
    assert problem.found == "132 layers, 125 of them the base's"
    assert problem.expected == "at most 127"
    assert "fewer" in problem.remedy


def test_source_date_epoch_has_to_be_a_number(bad: Bad, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    code, (problem,) = bad.outcome(IMAGE)
    assert code is MANIFEST
    assert problem.found == "SOURCE_DATE_EPOCH is 'yesterday'"


def test_a_server_that_tells_no_flags_is_named(bad: Bad) -> None:
    server = bad.root / "release/bin/tritonserver"
    server.write_text("#!/bin/sh\necho cannot open shared object file\nexit 127\n")
    (problem,) = bad.problems(more("server = { log_verbose = 1 }"))
    assert "cannot open shared object file" in problem.found
    server.chmod(0o644)
    (problem,) = bad.problems(more("server = { log_verbose = 1 }"))
    assert "tritonserver" in problem.found
    assert bad.problems(IMAGE) == [], "nobody has to ask where nothing is said"


def test_an_index_cannot_be_verified_by_a_server(bad: Bad) -> None:
    tree = Tree(bad.root)
    said = '[images.server]\nimages = ["//:nothing"]\n[verifications.v]\ntarget = ":server"\n'
    tree.write({"serving/triton.toml": said})
    code, problems = tree.problems("//serving:v")
    assert code in (MANIFEST, ANALYSIS)
    assert problems[0].file == "serving/triton.toml"

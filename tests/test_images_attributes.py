"""The `images` rule: what its attributes make of an image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from parts.images import Memory, file, folder, link
from parts.serving import (
    IMAGE,
    Small,
    changed,
    config,
    in_process,
    more,
    paths,
    stories,
    view_of,
)

from tritonbuild.oci import Compression, Image, Member, Platform, image_in
from tritonbuild.oci.layout import Layout, write_layout
from tritonbuild.oci.validate import validate

WEIGHTS = 1_000_000
CORE = ["user triton-server", "Triton", "backend plain"]
MODELS = ["model one version 1", "model two version 1", "model one config", "model two config"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images") / "cache"


@pytest.fixture
def ours(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    return in_process(tmp_path / "workspace", cache, monkeypatch)


def base(folder_: Path, *layers: list[Member], **execution: Any) -> None:
    """A base as a layout in the workspace, `//:below` once the manifest says BELOW."""
    image = Memory().image(list(layers), Compression.GZIP, **execution)
    write_layout(image.source, image.descriptor, folder_ / "below")


BELOW = '[bases.below]\nlayout = "below"\n'
DEBIAN_LIKE = [
    folder("usr"), folder("usr/lib"), folder("usr/bin"), link("lib", "usr/lib"), folder("etc"),
    folder("tmp", 0o1777), file("usr/lib/there", "there"),
    file("etc/passwd", "root:x:0:0::/:/bin/sh\nserver:x:12345:54321::/:/bin/sh\n"),
    file("etc/group", "root:x:0:\nserver:x:54321:\nstaff:x:50:\n"),
]  # fmt: skip


def on_base(ours: Small, images: str, **execution: Any) -> Image:
    """An image on such a base."""
    base(ours.workspace.root, DEBIAN_LIKE, **execution)
    root = (ours.workspace.root / "triton.toml").read_text() + BELOW
    return ours.build(images.replace("//:nothing", "//:below"), {"triton.toml": root})


def test_weights_stay_outside_where_the_model_says_so(ours: Small) -> None:
    before = ours.build()
    text = (ours.workspace.root / "one/triton.toml").read_text()
    external = text.replace("[models.one]\n", '[models.one]\nweights = "external"\n')
    image = ours.build(IMAGE, {"one/triton.toml": external})
    assert "model one version 1" not in stories(image)
    assert {path for path in paths(image) if path.startswith("models/one")} == {
        "models/one", "models/one/config.pbtxt",
    }  # fmt: skip
    told = json.loads(config(image)["Labels"]["dev.tritonbuild.external"])
    assert list(told) == ["/models/one/1"]
    assert told["/models/one/1"].startswith("sha256:")
    assert changed(before, image) == []
    again = ours.build(IMAGE, {"one/one/weights": b"x" * WEIGHTS})
    assert config(again)["Labels"] != config(image)["Labels"]
    assert changed(image, again) == []


def test_several_platforms_are_one_index(ours: Small) -> None:
    both = 'form = "modelcar"\nmodels = ["//one"]\n'
    images = (
        f"[images.amd]\n{both}"
        + f'[images.arm]\n{both}platform = "linux/arm64"\n'
        + '[images.server]\nimages = [":amd", ":arm"]\n'
        + 'annotations = { "org.opencontainers.image.title" = "both" }\n'
    )
    amd = ours.build(images)
    layout = Layout(ours.workspace.output("serving/_/server"))
    index = layout.descriptor()
    assert index.media_type == "application/vnd.oci.image.index.v1+json"
    assert validate(layout, index) == []
    arm64 = image_in(layout, index, Platform.of("linux/arm64"))
    assert (amd.config.architecture, arm64.config.architecture) == ("amd64", "arm64")
    assert [x.diff_id for x in amd.layers] == [x.diff_id for x in arm64.layers]
    assert json.loads(layout.open(index).read())["annotations"] == {
        "org.opencontainers.image.title": "both"
    }


@pytest.mark.parametrize("compression", list(Compression))
def test_layers_are_compressed_as_said_but_for_models(
    compression: Compression, ours: Small
) -> None:
    image = ours.build(more(f'compression = "{compression}"'))
    kinds = {by: x.media_type for by, x in zip(stories(image), image.manifest.layers, strict=True)}
    assert kinds["Triton"] == kinds["backend plain"] == compression.media_type
    assert {kinds[by] for by in MODELS} == {Compression.NONE.media_type}
    assert [x.diff_id for x in image.layers] == [x.diff_id for x in ours.build().layers]


def test_a_size_within_the_budget_is_no_matter(ours: Small) -> None:
    before = ours.build()
    assert ours.build(more('size_budget = "3MB"')).descriptor.digest == before.descriptor.digest


@pytest.mark.parametrize(
    ("said", "user", "made"),
    [
        ("", "1000:1000", True),
        ('user = "me"', "1000:1000", True),
        ('user = "server"', "12345:54321", False),
        ('user = "server:staff"', "12345:50", False),
        ('user = "root"', "0:0", False),
        ('user = "4711"', "4711", False),
        ('user = "4711:0"', "4711:0", False),
    ],
)
def test_a_user_is_who_the_base_knows_or_is_made(
    said: str, user: str, made: bool, ours: Small
) -> None:
    image = on_base(ours, more(said))
    assert config(image)["User"] == user
    passwd = view_of(image).root.text("etc/passwd") or ""
    assert passwd.startswith("root:x:0:0::/:/bin/sh\nserver:x:12345:")
    assert (":x:1000:1000:" in passwd) == made


def test_what_the_base_says_stands_where_the_image_says_nothing(ours: Small) -> None:
    image = on_base(
        ours, more('env = { B = "ours", C = "c" }\nlabels = { x = "ours", y = "y" }'),
        env=["PATH=/usr/bin:/bin", "B=theirs", "A=a", "LD_LIBRARY_PATH=/theirs"],
        labels={"x": "theirs", "z": "z"}, entrypoint=["/entry"], cmd=["theirs"],
        exposed_ports={"9999/tcp": {}}, working_dir="/work", stop_signal="SIGINT", user="7",
    )  # fmt: skip
    told = config(image)
    assert told["Env"] == [
        "PATH=/opt/tritonserver/bin:/usr/bin:/bin", "B=ours", "A=a",
        "LD_LIBRARY_PATH=/opt/tritonserver/lib:/theirs", "C=c",
    ]  # fmt: skip
    assert told["Labels"] == {"x": "ours", "y": "y", "z": "z"}
    assert told["Entrypoint"] == ["/entry"]
    assert told["Cmd"][0] == "tritonserver"
    assert set(told["ExposedPorts"]) == {"9999/tcp", "8000/tcp", "8001/tcp", "8002/tcp"}
    assert told["WorkingDir"] == "/work"


def test_the_layers_of_a_base_stay_as_they_are(ours: Small) -> None:
    image = on_base(ours, IMAGE)
    layout = Layout(ours.workspace.root / "below")
    below = image_in(layout, layout.descriptor(), Platform.of("linux/amd64"))
    assert image.manifest.layers[0] == below.manifest.layers[0]
    assert image.layers[0].diff_id == below.layers[0].diff_id
    assert list(stories(image))[1:] == [*CORE, *MODELS]


def test_files_go_where_they_are_to(ours: Small) -> None:
    said = 'files = { "/srv/one.txt" = "text", "/lib/more" = "folder", "/lib" = "lib" }'
    files = {"serving/text": "1", "serving/folder/a/b": "2", "serving/lib/c": "3"}
    ours.workspace.write(files)
    (ours.workspace.root / "serving/folder/a/b").chmod(0o755)
    image = on_base(ours, more(said))
    found = {e.path: e for e in view_of(image).root.entries if e.kind == "file"}
    assert found["srv/one.txt"].mode == 0o644
    assert found["usr/lib/more/a/b"].mode == 0o755
    assert "usr/lib/c" in found
    assert paths(image)["lib"] == "link", "the base's link stays"
    assert config(image)["User"] == "1000:1000"


def test_what_the_base_has_already_may_be_said_again(ours: Small) -> None:
    ours.workspace.write({"serving/text": "there"})
    assert "files" in stories(on_base(ours, more('files = { "/lib/there" = "text" }')))


def test_the_server_is_told_its_flags(ours: Small) -> None:
    said = more(
        "server = { model_control_mode = 'explicit', log_verbose = 1, "
        "cache_config = { local = { size = '64MiB' } } }"
    )
    assert config(ours.build(said))["Cmd"] == [
        "tritonserver", "--model-repository=/models", "--cache-config=local,size=67108864",
        "--log-verbose=1", "--model-control-mode=explicit",
    ]  # fmt: skip


def test_the_response_cache_of_its_models_is_turned_on(ours: Small) -> None:
    text = (ours.workspace.root / "one/triton.toml").read_text()
    cached = text.replace("[models.one]\n", '[models.one]\ncaches = ["local"]\n')
    image = ours.build(IMAGE, {"one/triton.toml": cached})
    assert "cache local" in stories(image)
    assert "--cache-config=local,size=67108864" in config(image)["Cmd"]
    named = ours.build(
        more('caches = ["local"]\nserver = { cache_config = { local = { size = 5 } } }')
    )
    assert "--cache-config=local,size=5" in config(named)["Cmd"]


@pytest.mark.parametrize(
    ("said", "test"),
    [
        ('["CMD", "/probe"]', ["CMD", "/probe"]),
        ('["CMD-SHELL", "probe || exit 1"]', ["CMD-SHELL", "probe || exit 1"]),
        ('["NONE"]', ["NONE"]),
    ],
)
def test_a_health_check_is_dockers(said: str, test: list[str], ours: Small) -> None:
    image = ours.build(more(f"healthcheck = {said}"))
    assert config(image)["Healthcheck"] == {"Test": test}


def test_an_image_without_models_has_an_empty_repository(ours: Small) -> None:
    image = ours.build('[images.server]\nbase = "//:nothing"\n')
    assert paths(image)["models"] == "folder"
    assert list(stories(image)) == ["user triton-server", "Triton", "an empty repository"]

"""The `images` rule: what a change moves."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from parts.serving import (
    IMAGE,
    Small,
    changed,
    in_process,
    model,
    more,
    paths,
    stories,
)

from tritonbuild import stamps

WEIGHTS = 1_000_000


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images") / "cache"


@pytest.fixture
def ours(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    return in_process(tmp_path / "workspace", cache, monkeypatch)


def test_one_line_of_a_config_moves_that_models_config_alone(ours: Small) -> None:
    before = ours.build()
    text = (ours.workspace.root / "one/triton.toml").read_text()
    after = ours.build(IMAGE, {"one/triton.toml": text.replace("size = 4", "size = 5")})
    assert changed(before, after) == ["model one config"]
    assert list(stories(after)) == list(stories(before))
    (layer,) = [
        x for x in after.layers if x.descriptor.digest == stories(after)["model one config"]
    ]
    assert layer.descriptor.size < 10_000
    assert ours.executed == 3, "the model, its config's layer, the image and no more"
    assert ours.hashed == 0, "no weight is looked at"


def test_a_weight_moves_itself_alone(ours: Small) -> None:
    before = ours.build()
    after = ours.build(IMAGE, {"one/one/weights": b"x" * WEIGHTS})
    assert changed(before, after) == ["model one version 1"]
    assert ours.hashed == WEIGHTS


def test_another_model_moves_itself_alone(ours: Small) -> None:
    before = ours.build()
    after = ours.build(IMAGE.replace('"//one", ', '"//one", "//three", '), model("three"))
    assert changed(before, after) == ["model three version 1", "model three config"]
    assert set(stories(before)) < set(stories(after))


def test_a_model_with_another_name_moves_itself_alone(ours: Small) -> None:
    before = ours.build()
    text = (ours.workspace.root / "one/triton.toml").read_text()
    named = text.replace("[models.one]\n", '[models.one]\nname = "uno"\n')
    after = ours.build(IMAGE, {"one/triton.toml": named})
    assert changed(before, after) == ["model uno version 1", "model uno config"]
    assert "models/one" not in paths(after)
    assert "models/uno/1/weights" in paths(after)


def test_another_version_moves_itself_alone(ours: Small) -> None:
    before = ours.build()
    text = (ours.workspace.root / "one/triton.toml").read_text()
    two = text.replace('1 = "one"', '1 = "one", 2 = "two"')
    after = ours.build(IMAGE, {"one/triton.toml": two, "one/two/weights": b"new"})
    assert changed(before, after) == ["model one version 2"]


@pytest.mark.parametrize(
    "said",
    [
        'labels = { "org.example.team" = "vision" }',
        'env = { LD_PRELOAD = "/opt/libtcmalloc.so" }',
        'annotations = { "org.opencontainers.image.title" = "server" }',
        "ports = [9000]",
        'stop_signal = "SIGINT"',
        'working_dir = "/srv"',
        'command = ["tritonserver", "--help"]',
        'entrypoint = ["/opt/tritonserver/bin/tritonserver"]',
        'server = { log_verbose = 1, model_control_mode = "explicit" }',
        'user = "1234"',
        "healthcheck = true",
    ],
)
def test_what_an_image_says_of_itself_is_in_no_layer(said: str, ours: Small) -> None:
    before = ours.build()
    after = ours.build(more(said))
    assert changed(before, after) == []
    assert after.descriptor.digest != before.descriptor.digest


def test_tags_are_not_in_an_image(ours: Small) -> None:
    before = ours.build()
    after = ours.build(more('tags = ["registry.example/server:v1"]'))
    assert after.descriptor.digest == before.descriptor.digest
    assert ours.executed == 0


def test_nothing_is_done_where_nothing_changed(ours: Small) -> None:
    before = ours.build()
    assert ours.build().descriptor.digest == before.descriptor.digest
    assert (ours.executed, ours.hashed) == (0, 0)


def commit(folder_: Path, *words: str) -> None:
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    quiet = ["commit", "--quiet", "--allow-empty", *words]
    subprocess.run(["git", "-C", folder_, *who, *quiet], check=True)


def head(folder_: Path) -> str:
    asked = ["git", "-C", str(folder_), "rev-parse", "HEAD"]
    return subprocess.check_output(asked, text=True).strip()


@pytest.fixture
def committed(ours: Small) -> Iterator[Small]:
    """In a repository with a commit."""
    root = ours.workspace.root
    subprocess.run(["git", "init", "--quiet", root], check=True)
    commit(root, "--message=one")
    stamps._value.cache_clear()
    yield ours
    stamps._value.cache_clear()


def test_a_commit_in_annotations_is_in_no_layer(committed: Small) -> None:
    root = committed.workspace.root
    said = more('annotations = { "org.opencontainers.image.revision" = "{git.commit}" }')
    before = committed.build(said)
    assert before.manifest.annotations == {"org.opencontainers.image.revision": head(root)}
    commit(root, "--message=two")
    stamps._value.cache_clear()
    after = committed.build(said)
    assert after.manifest.annotations == {"org.opencontainers.image.revision": head(root)}
    assert [x.descriptor for x in after.layers] == [x.descriptor for x in before.layers]
    assert after.manifest.config == before.manifest.config
    assert committed.executed == 1


def test_a_commit_in_tags_builds_nothing(committed: Small) -> None:
    said = more('tags = ["registry.example/server:{git.short}"]')
    committed.build(said)
    commit(committed.workspace.root, "--message=two")
    stamps._value.cache_clear()
    committed.build(said)
    assert committed.executed == 0


def test_many_models_take_few_layers_and_a_change_still_moves_little(ours: Small) -> None:
    names = [f"m{number}" for number in range(70)]
    table = "[models.{0}]\nbackend = 'plain'\nversions = {{ 1 = '{0}' }}\n"
    io = "config.input = [{ name = 'x', data_type = 'TYPE_FP32', dims = [2] }]\n"
    io += "config.output = [{ name = 'y', data_type = 'TYPE_FP32', dims = [2] }]\n"
    files: dict[str, str | bytes] = {f"many/{name}/weights": name for name in names}
    files["many/triton.toml"] = "".join(table.format(name) + io for name in names)
    said = '[images.server]\nbase = "//:nothing"\nmodels = ["//many:all"]\n'
    before = ours.build(said, files)
    assert len(before.layers) < 127
    after = ours.build(said, {"many/m7/weights": "new"})
    assert len(changed(before, after)) == 1
    assert len(after.layers) == len(before.layers)
    plus = table.format("more") + io + str(files["many/triton.toml"])
    added = ours.build(said, {"many/triton.toml": plus, "many/more/weights": "more"})
    assert len(changed(after, added)) == 2

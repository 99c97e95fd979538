"""triton.lock."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tomli
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from tritonbuild.errors import UsageError
from tritonbuild.lock import FILE, Lock, LockedFile, Request

text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6)
requests = st.builds(
    Request, text, st.lists(text, max_size=3).map(lambda some: tuple(sorted(some))), text, text
)
names = text.filter(lambda name: name not in ("", ".", "..") and "/" not in name)
files = st.builds(
    LockedFile,
    names.filter(str.isprintable),
    text,
    st.binary(min_size=32, max_size=32).map(bytes.hex),
    st.integers(0, 2**62),
)
entries = st.dictionaries(requests, st.lists(files, max_size=3), max_size=3)

NUMPY = Request("pypi", ("numpy<2",), "3.11", "x86_64-linux-gnu2.36")
WHEEL = LockedFile("numpy-1.26.4.whl", "https://example.org/numpy-1.26.4.whl", "ab" * 32, 17)


def test_what_people_see_of_a_request_is_no_part_of_it() -> None:
    shown = Request("debian", ("a=1", "curl"), shown="curl on 1 packages of the base")
    plain = Request("debian", ("a=1", "curl"))
    assert (str(plain), str(shown)) == ("debian a=1 curl", "debian curl on 1 packages of the base")
    assert (shown, hash(shown)) == (plain, hash(plain))


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lock")


@given(some=entries)
def test_what_was_written_is_read_again(place: Path, some: dict[Request, list[LockedFile]]) -> None:
    lock = Lock().with_entries(some)
    lock.write(place)
    assert Lock.read(place).entries == lock.entries


@given(some=entries)
def test_the_order_of_entries_leaves_no_trace(
    place: Path, some: dict[Request, list[LockedFile]]
) -> None:
    Lock().with_entries(some).write(place)
    before = (place / FILE).read_bytes()
    backwards = {request: reversed(found) for request, found in reversed([*some.items()])}
    Lock().with_entries(backwards).write(place)
    assert (place / FILE).read_bytes() == before


def test_a_workspace_without_one_has_an_empty_one(tmp_path: Path) -> None:
    assert Lock.read(tmp_path).entries == {}


def test_it_is_toml_that_says_what_each_request_stood_for(tmp_path: Path) -> None:
    Lock().with_entries({NUMPY: [WHEEL], Request("number", ("x",)): []}).write(tmp_path)
    content = (tmp_path / FILE).read_text()
    assert content.startswith("# ")
    assert tomli.loads(content) == {
        "version": 1,
        "resolution": [
            {"kind": "number", "request": ["x"], "files": []},
            {
                "kind": "pypi",
                "request": ["numpy<2"],
                "python": "3.11",
                "platform": "x86_64-linux-gnu2.36",
                "files": [
                    {"name": WHEEL.name, "url": WHEEL.url, "sha256": WHEEL.sha256, "size": 17}
                ],
            },
        ],
    }


def test_writing_leaves_nothing_else_behind(tmp_path: Path) -> None:
    Lock().write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o644


def test_a_file_of_a_folder_is_named_with_its_path(tmp_path: Path) -> None:
    request = Request("download", ("s3://bucket/m/",))
    file = LockedFile("m/1/a model é.onnx", "s3://bucket/m/1/a model é.onnx", "0" * 64, 1)
    Lock().with_entries({request: [file]}).write(tmp_path)
    assert Lock.read(tmp_path).get(request) == (file,)


def test_an_entry_answers_its_own_request_only(tmp_path: Path) -> None:
    lock = Lock().with_entries({NUMPY: [WHEEL]})
    assert lock.get(NUMPY) == (WHEEL,)
    assert lock.get(Request("pypi", ("numpy<2",), "3.12", NUMPY.platform)) is None
    assert lock.get(Request("pypi", ("numpy<3",), "3.11", NUMPY.platform)) is None


def test_new_entries_replace_and_do_not_touch_the_old_lock() -> None:
    old = Lock().with_entries({NUMPY: [WHEEL]})
    new = old.with_entries({NUMPY: []})
    assert (old.get(NUMPY), new.get(NUMPY)) == ((WHEEL,), ())


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("version = 2\n", "version 2"),
        ("resolution = []\n", "version None"),
        ("version = '1'\n", "version '1'"),
        ("version = = 1\n", "cannot be read"),
        ("\xff", "cannot be read"),
        ("version = 1\n[[resolution]]\nkind = 'pypi'\n", "an entry has no 'request'"),
        ("version = 1\nresolution = 3\n", "3 is not a list"),
        ("version = 1\nresolution = ['x']\n", "an entry is damaged"),
        (
            "version = 1\n[[resolution]]\nkind = 'a'\nrequest = 'x'\nfiles = []\n",
            "'x' is not a list",
        ),
        (
            "version = 1\n[[resolution]]\nkind = 'a'\nrequest = []\nfiles = [{name = 'x'}]\n",
            "an entry has no 'sha256'",
        ),
    ],
)
def test_what_is_no_lock_is_refused(tmp_path: Path, content: str, found: str) -> None:
    (tmp_path / FILE).write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError) as caught:
        Lock.read(tmp_path)
    (problem,) = caught.value.problems
    assert found in problem.found
    assert problem.file == FILE
    assert problem.remedy


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "../x.whl"),
        ("name", "a/../x.whl"),
        ("name", "/x.whl"),
        ("name", "a//x.whl"),
        ("name", ""),
        ("url", 1),
        ("sha256", "ab"),
        ("sha256", "AB" * 32),
        ("size", -1),
        ("size", True),
        ("size", "17"),
    ],
)
def test_what_no_file_can_be_is_refused(tmp_path: Path, key: str, value: object) -> None:
    Lock().with_entries({NUMPY: [WHEEL]}).write(tmp_path)
    document = tomli.loads((tmp_path / FILE).read_text())
    document["resolution"][0]["files"][0][key] = value
    (tmp_path / FILE).write_text(tomli_w.dumps(document))
    with pytest.raises(UsageError, match=f"an entry is damaged: {re.escape(repr(value))}"):
        Lock.read(tmp_path)


def test_a_lock_of_a_later_version_asks_for_a_newer_tritonbuild(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("version = 2\n")
    with pytest.raises(UsageError) as caught:
        Lock.read(tmp_path)
    (problem,) = caught.value.problems
    assert (problem.expected, problem.remedy) == ("version 1", "use a newer tritonbuild")


def test_what_people_see_of_a_request_holds_no_secret() -> None:
    """Who resolves it judges its form; what is told before that must not wait for it."""
    request = Request("download", ("s3://KEY:SECRET@bucket/a", "path=b"))
    assert str(request) == "download s3://bucket/a path=b"
    assert str(Request("pypi", ("numpy<2",))) == "pypi numpy<2"

"""The `downloads` rule: a file, or a folder, from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tritonbuild.rule import Artifact, Context, Field, Files, LockedFile, Needs, Output, Rule

from .origins.fetch import CONTENT, fetch_download, gather_files
from .paths import EXPECTED, is_relative

if TYPE_CHECKING:
    from .origins.source import Source, Wanted

KNOWN = "https://, s3://, gs://, az://, hf://, oci:// or models:/"


class Downloads(Rule):
    """A file from the web, S3, Google Cloud Storage, Azure, Hugging Face or an OCI registry; or a
    folder of them, also from MLflow's registry. What it holds is fixed: by `sha256`, or in
    triton.lock."""

    table = "downloads"
    provides = (Files,)

    class Attributes(Rule.Attributes):
        url: str = Field(
            description="Where it lies: `https://…`, `s3://bucket/key`, `gs://bucket/object`, "
            "`az://account/container/blob`, `hf://org/repo/path`, `oci://registry/repo:tag`. A "
            "folder (`s3://bucket/folder/`, `hf://org/repo`, `models:/name/version`) is all that "
            "is in it."
        )
        sha256: str | None = Field(
            default=None, description="Of the file. Without it triton.lock pins what is there."
        )
        file: str | None = Field(
            default=None, description="What it is called here; if not said, the URL's last part."
        )
        revision: str | None = Field(
            default=None, description="A branch, tag or commit of a repository (`hf://`)."
        )
        path: str | None = Field(
            default=None, description="One file of an artifact, by its title (`oci://`)."
        )
        mirrors: list[str] = Field(
            default=[], description="Other addresses of the same file; they are asked first."
        )
        extract: bool = Field(
            default=False, description="Whether it is an archive (zip, tar) to unpack."
        )
        strip: int = Field(
            default=0, ge=0, description="How many names to take off each path of the archive."
        )

    def analyze(self, ctx: Context[Any]) -> Iterator[object]:
        source = _source(ctx)
        files = _files(ctx, source)
        folder = any("/" in file.name for file in files)
        name = ctx.attributes.file or files[0].name.partition("/")[0]
        if not folder:
            made: Artifact = _fetched(ctx, files[0])
            if ctx.attributes.extract:
                from .origins.extract import without_ending

                name = ctx.attributes.file or without_ending(name)
                made = _extracted(ctx, files[0].name, made)
        elif ctx.attributes.extract:
            raise ctx.error(f"{ctx.attributes.url} is a folder", key="extract", expected="a file")
        else:
            made = _gathered(ctx, files)
        yield Files({name: made})


def _source(ctx: Context[Any]) -> Source:
    """Raises AnalysisError for attributes that nothing can be made of."""
    from .origins.source import source_of, wrong

    attributes = ctx.attributes
    for key, url in [("url", attributes.url), *_numbered("mirrors", attributes.mirrors)]:
        source = source_of(url)
        if source is None:
            raise ctx.error("it is no address that is known", key=key, expected=KNOWN)
        if found := wrong(url):
            # What is wrong may be a secret in it.
            raise ctx.error(f"this URL cannot be used: {found}", key=key)
    source = source_of(attributes.url)
    assert source is not None
    scheme = attributes.url.partition(":")[0]
    for option, needed in (("revision", "hf"), ("path", "oci")):
        if getattr(attributes, option) and scheme != needed:
            raise ctx.error(
                f"{scheme}:// knows no `{option}`", key=option, expected=f"it with {needed}:// only"
            )
    if attributes.strip and not attributes.extract:
        found = "`strip` without `extract`"
        raise ctx.error(found, key="strip", remedy="say extract = true, or take it away")
    if attributes.file is not None and not is_relative(attributes.file):
        raise ctx.error(f"{attributes.file!r} is no path", key="file", expected=EXPECTED)
    if attributes.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", attributes.sha256):
        found = f"{attributes.sha256!r} is not a sha256"
        expected = "64 hexadecimal digits, in lower case"
        raise ctx.error(found, key="sha256", expected=expected, remedy="`sha256sum FILE` prints it")
    if attributes.mirrors and not _direct(ctx, source):
        expected = "mirrors of one file, by its URL"
        raise ctx.error(f"{attributes.url} is not one file", key="mirrors", expected=expected)
    return source


def _numbered(key: str, values: Sequence[str]) -> list[tuple[str, str]]:
    return [(f"{key}.{index}", value) for index, value in enumerate(values)]


def _wanted(ctx: Context[Any]) -> Wanted:
    from .origins.source import Wanted

    return Wanted(ctx.attributes.url, ctx.attributes.revision or "", ctx.attributes.path or "")


def _direct(ctx: Context[Any], source: Source) -> str:
    return source.direct(_wanted(ctx))


def _files(ctx: Context[Any], source: Source) -> Sequence[LockedFile]:
    """What is to be fetched; those of a folder are named with it."""
    from .origins.resolve import request_for

    attributes = ctx.attributes
    if not attributes.file and not is_relative(source.name(attributes.url) or ".."):
        found = f"no name of a file can be taken from {attributes.url!r}"
        raise ctx.error(found, key="url", expected=f"`file`: {EXPECTED}", remedy='say file = "…"')
    url = _direct(ctx, source)
    if attributes.sha256 and url:
        name = source.name(attributes.url) or attributes.file
        return [LockedFile(name, url, attributes.sha256, 0)]
    files = ctx.locked(request_for(_wanted(ctx)))
    if not files:
        found = f"triton.lock has no files for {attributes.url}"
        raise ctx.error(found, expected="one at least", remedy="tritonbuild lock")
    if attributes.sha256 and [file.sha256 for file in files] != [attributes.sha256]:
        got = files[0].sha256 if len(files) == 1 else f"{len(files)} files"
        raise ctx.error(
            f"triton.lock has {got} for {attributes.url}",
            key="sha256",
            expected=f"one file with sha256 {attributes.sha256}",
            remedy="if it was replaced there: is that right? `tritonbuild lock` takes the new one",
        )
    return files


def _fetched(ctx: Context[Any], file: LockedFile) -> Output:
    """Keyed by the digest alone: neither name nor place can change the content."""
    made = ctx.tool(
        fetch_download,
        name=f"download {file.name} {file.sha256[:8]}",
        parameters={"sha256": file.sha256},
        hints={"name": file.name, "urls": [*ctx.attributes.mirrors, file.url], "size": file.size},
        outputs=[CONTENT],
        needs=Needs(cpu=0.25),
    )
    return made[CONTENT]


def _extracted(ctx: Context[Any], name: str, archive: Artifact) -> Output:
    from .origins.extract import unpack_archive

    made = ctx.tool(
        unpack_archive,
        parameters={"name": name, "strip": ctx.attributes.strip},
        inputs={"archive": archive},
        outputs=["tree"],
    )
    return made["tree"]


def _gathered(ctx: Context[Any], files: Sequence[LockedFile]) -> Output:
    inputs = {f"files/{file.name.partition('/')[2]}": _fetched(ctx, file) for file in files}
    return ctx.tool(gather_files, inputs=inputs, outputs=["tree"])["tree"]

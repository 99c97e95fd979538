"""`tritonbuild init`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from tritonbuild.cli.display import say
from tritonbuild.cli.verb import Call, call, common, flag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tritonbuild.events import Finished

FOLDER = click.Path(path_type=Path)


@click.command("init")
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=FOLDER)
@flag("--root", type=FOLDER, help="Where the workspace begins, if none is there yet.")
@flag("--backends", type=FOLDER, help="A folder of backends of your own, a folder each.")
@flag(
    "--golden",
    metavar="HOST:PORT",
    help="The gRPC address of a server that runs these models: it is asked, and its answers "
    "become golden cases.",
)
@flag("--dry-run", is_flag=True, help="Print what would be written.")
@common
def command(
    paths: tuple[Path, ...],
    root: Path | None,
    backends: Path | None,
    golden: str | None,
    dry_run: bool,
    as_json: bool,
) -> NoReturn:
    """Write manifests for models that are there already, where they are.

    A PATH (by default the current folder) is a model repository or a folder of model files. It
    becomes a package of the workspace around it; where there is none, of a new one, which begins
    in the current folder when that is above PATH, else in PATH. Nothing is moved, and nothing
    that exists is overwritten.
    """

    def body(this: Call) -> Finished:
        from tritonbuild import importing
        from tritonbuild.errors import ExitCode
        from tritonbuild.events import Finished, Note
        from tritonbuild.registry import installed

        options = {"backends": str(backends.absolute()) if backends else "", "golden": golden or ""}
        place = importing.find_place(paths or (Path(),), root, Path.cwd())
        imported = importing.collect(place, installed(), options)
        if not dry_run:
            importing.write(place.root, imported.files)
        for finding in imported.findings:
            if as_json:
                words = {"subject": finding.file, "ok": None, "text": finding.found}
                say(json.dumps({"event": "finding", **words, "remedy": finding.remedy}))
                click.echo(f"note: {finding}", err=True)
            else:
                this.listener(Note(str(finding)))
        _tell(place.root, imported.files, dry_run=dry_run, as_json=as_json)
        return Finished(ExitCode.OK)

    call(body, as_json=as_json)


def _tell(root: Path, files: Mapping[str, bytes], *, dry_run: bool, as_json: bool) -> None:
    from tritonbuild.digest import Digest

    here = Path.cwd()
    for path, content in sorted(files.items()):
        digest = Digest.of_bytes(content)
        shown = root / path
        shown = shown.relative_to(here) if here in shown.parents else shown
        if as_json:
            event = {
                "event": "file",
                "root": str(root),
                "path": path,
                "status": "planned" if dry_run else "written",
                "digest": digest.hash,
                "size": digest.size,
            }
            if dry_run:
                event["text"] = content.decode(errors="replace")
            say(json.dumps(event))
        elif dry_run:
            say(f"would write {shown}, {digest.size} bytes")
            if path.endswith(".toml"):
                say(content.decode())
        else:
            say(f"wrote {shown}")

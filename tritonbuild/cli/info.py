"""`tritonbuild info`."""

from __future__ import annotations

import json
from platform import python_version
from typing import TYPE_CHECKING, NoReturn

import click

from tritonbuild import __version__
from tritonbuild.cli.complete import complete_pattern
from tritonbuild.cli.display import say, size
from tritonbuild.cli.verb import PLATFORM, Call, call, common, platform_of

if TYPE_CHECKING:
    from tritonbuild.events import Finished
    from tritonbuild.session import Session


@click.command("info")
@click.argument("image", required=False, shell_complete=complete_pattern)
@click.option("--platform", help=PLATFORM)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of triton.toml.")
@common
def command(image: str | None, platform: str | None, schema: bool, as_json: bool) -> NoReturn:
    """Show where the workspace, its outputs and the cache are, and which rules there are.

    With IMAGE (a target, a layout or archive on disk, docker-daemon:NAME, or a reference in a
    registry): its layers, what put each there, and what it holds.
    """

    def body(this: Call) -> Finished:
        from tritonbuild.errors import ExitCode
        from tritonbuild.events import Finished
        from tritonbuild.workspace import OUTPUTS

        with this.session() as session:
            if image:
                _show(this, session, image, platform, as_json=as_json)
                return Finished(ExitCode.OK)
            if schema:
                found = session.manifests.schema()
                whole = json.dumps(found, indent=2)
                say(json.dumps({"event": "schema", "schema": found}) if as_json else whole)
                return Finished(ExitCode.OK)
            facts = {
                "version": __version__,
                "python": python_version(),
                "workspace": str(session.root),
                "outputs": str(session.root / OUTPUTS),
                "cache": str(session.cache.root),
                "state": str(session.state_folder),
                "rules": sorted(session.manifests.registry.rules),
            }
        if as_json:
            say(json.dumps({"event": "info", **facts}))
        else:
            for name, value in facts.items():
                say(f"{name:10} {', '.join(value) if isinstance(value, list) else value}")
        return Finished(ExitCode.OK)

    call(body, as_json=as_json)


def _show(this: Call, session: Session, text: str, platform: str | None, *, as_json: bool) -> None:
    from dataclasses import asdict

    from tritonbuild.images.describe import facts_of, layers_of
    from tritonbuild.images.opened import DAEMON, opened

    wanted = platform_of(platform) if platform else None
    with opened(session, text, this.package, wanted) as shown:
        digest = shown.image.descriptor.digest
        layers = list(layers_of(shown.view))
        facts = facts_of(shown.view, session.manifests.registry.inspectors.values())
    if as_json:
        told = {
            "event": "image",
            "image": text,
            "digest": digest,
            "layers": [asdict(layer) for layer in layers],
            "facts": [asdict(fact) for fact in facts],
        }
        say(json.dumps(told))
        return
    say(f"{text}  {digest}")
    packed, unpacked = sum(x.size for x in layers), sum(x.unpacked for x in layers)
    what = "stored" if text.startswith(DAEMON) else "to pull"
    say(f"{len(layers)} layers: {size(packed)} {what}, {size(unpacked)} unpacked")
    for number, layer in enumerate(layers, 1):
        say(
            f"{number:4} {size(layer.size):>10} {size(layer.unpacked):>10} {layer.files:>7} files  "
            f"{layer.by}  ({', '.join(layer.folders)})"
        )
    section = ""
    for fact in facts:
        if fact.section != section:
            section = fact.section
            say(section)
        say(f"  {fact.name}: {fact.value}")

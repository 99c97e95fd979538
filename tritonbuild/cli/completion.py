"""`tritonbuild completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print a shell's completion script: verbs, flags and labels.

    \b
    bash:  source <(tritonbuild completion bash)
    zsh:   source <(tritonbuild completion zsh)
    fish:  tritonbuild completion fish | source
    """
    from tritonbuild.cli.main import tritonbuild

    maker = get_completion_class(shell)
    assert maker is not None, "click knows the three shells"
    click.echo(maker(tritonbuild, {}, "tritonbuild", "_TRITONBUILD_COMPLETE").source())

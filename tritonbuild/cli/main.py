"""`tritonbuild VERB`. A verb's module is imported when it is called, not before."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

import click

from tritonbuild import __version__
from tritonbuild.cli.settings import default_map
from tritonbuild.cli.verbs import HIDDEN, VERBS
from tritonbuild.errors import ExitCode, Problem, TritonbuildError


class Verbs(click.Group):
    """Knows every verb's name and sentence without importing it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS and name not in HIDDEN:
            return None
        command: click.Command = importlib.import_module(f"tritonbuild.cli.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in VERBS and args[0] not in HIDDEN and args[0][:1] != "-":
            from tritonbuild.errors import did_you_mean

            ctx.fail(f"there is no verb {args[0]!r}: {did_you_mean(args[0], VERBS)}")
        return super().resolve_command(ctx, args)


@click.command(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar="VERB [FLAGS] [PATTERN]...",
)
@click.version_option(__version__, message="tritonbuild %(version)s")
def tritonbuild() -> None:
    """The build system for NVIDIA Triton Inference Server."""


def main() -> NoReturn:
    """The console script. Exit codes are those of `ExitCode`."""
    if sys.getfilesystemencoding() != "utf-8":  # else names, and with them digests, would differ
        command = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
        os.execv(sys.executable, command)  # noqa: S606  # itself
    # None can mean manifests, and all that is installed would be searched for them.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.set_threshold(100_000)  # what a verb makes lives nearly as long as the verb
    defaults: dict[str, Any] = {}
    try:
        defaults = default_map()
        code = tritonbuild.main(
            prog_name="tritonbuild", standalone_mode=False, default_map=defaults
        )
        sys.exit(code if isinstance(code, int) else ExitCode.OK)
    except click.ClickException as error:
        problem = Problem(error.format_message(), remedy=_help(error))
        _end(ExitCode.USAGE, problem, as_json=_wants_json(defaults))
    except TritonbuildError as error:
        _end(error.exit_code, *error.problems, as_json=_wants_json(defaults))
    except (click.Abort, KeyboardInterrupt):
        _end(ExitCode.INTERRUPTED, Problem("interrupted"), as_json=_wants_json(defaults))


def _help(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path} --help" if context else "tritonbuild --help"


def _wants_json(defaults: Mapping[str, Any]) -> bool:
    """Whether the flag, the environment or the settings say so; by themselves, since the command
    line could not be understood."""
    if "--json" in sys.argv:
        return True
    variable = os.environ.get("TRITONBUILD_JSON")
    if variable:
        return variable.lower() not in ("0", "false", "f", "no", "n", "off")
    verb = next((word for word in sys.argv if word in VERBS), "")
    return bool(defaults.get(verb, {}).get("as_json"))


def _end(code: ExitCode, *problems: Problem, as_json: bool) -> NoReturn:
    """For what goes wrong before a verb has its own listener."""
    if as_json:
        from tritonbuild.cli.display import JsonLines
        from tritonbuild.events import Finished

        JsonLines()(Finished(code, problems))
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    sys.exit(code)

"""How a server is started: from a private folder laid out for it, or from an image's own root."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tritonbuild.oci import Image, OciError
from tritonbuild.oci.execute import Terms, run_image
from tritonbuild.rule import Bind, Process, ToolContext

from . import linkage
from .diagnose import Places, ServerError
from .layout import Layout
from .ports import LOOPBACK, Ports


class Launch(Protocol):
    @property
    def places(self) -> Places:
        """Where the files came from that it works with."""

    def check(self, ctx: ToolContext) -> None:
        """Raises ServerError, EnvironmentFailure for what would keep it from starting."""

    def start(self, ctx: ToolContext, log: Path, ports: Ports, identity: str) -> Process:
        """With its services on loopback alone."""


def _flags(ports: Ports, identity: str) -> list[str]:
    said = [f"--id={identity}", f"--backend-config=python,shm-region-prefix-name={identity}"]
    for service, port in ports._asdict().items():
        said += [f"--{service}-address={LOOPBACK}", f"--{service}-port={port}"]
    return said


@dataclass(frozen=True)
class FromLayout:
    layout: Layout

    @property
    def places(self) -> Places:
        return self.layout.places

    def check(self, ctx: ToolContext) -> None:
        linkage.check(ctx, self.layout)

    def start(self, ctx: ToolContext, log: Path, ports: Ports, identity: str) -> Process:
        layout = self.layout
        argv = [
            str(layout.server),
            f"--model-repository={layout.repository}",
            f"--backend-directory={layout.backends}",
            f"--repoagent-directory={layout.repoagents}",
            f"--cache-directory={layout.caches}",
            "--model-control-mode=none",
            "--exit-on-error=true",
            *_flags(ports, identity),
        ]
        if layout.cache:
            argv.append(f"--cache-config={layout.cache}")
        return ctx.start(argv, env=layout.variables, cwd=layout.root, log=log, shm_prefix=identity)


@dataclass(frozen=True)
class FromImage:
    """As containers of the image start it, with nothing of the host but its network."""

    image: Image
    sources: Mapping[str, str]
    """As `Places` has them."""
    user: str = ""
    """Instead of the image's own."""
    mounts: Mapping[str, Path] = field(default_factory=dict)
    """Path inside → what it leaves out."""
    everything: bool = False
    """Whether all models are loaded, also where that is left to the server's clients."""

    @property
    def places(self) -> Places:
        return Places("", self.sources)

    def check(self, ctx: ToolContext) -> None:
        """What it needs was checked when it was built."""

    def start(self, ctx: ToolContext, log: Path, ports: Ports, identity: str) -> Process:
        config = self.image.config.config
        command = [*((config and config.cmd) or ()), *_flags(ports, identity)]
        chosen = any(word.startswith("--load-model") for word in command)
        if self.everything and not chosen and "--model-control-mode=explicit" in command:
            command.append("--load-model=*")  # in other modes an error
        binds = [Bind(source, path) for path, source in self.mounts.items()]
        terms = Terms(command=command, user=self.user, binds=binds)
        try:
            return run_image(ctx, self.image, log, terms, identity)
        except OciError as error:
            raise ServerError(error.problem) from None

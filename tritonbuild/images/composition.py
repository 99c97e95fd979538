"""What `compose` is asked for, and the manifest that says the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tritonbuild.errors import Problem, UsageError

NEWEST = "26.08"
"""The release that is taken where nothing names one."""
IMAGES = ("min", "full", "gpu-min")
"""Names that `--image` takes."""
MANIFEST, CATALOGUE = "triton.toml", "catalogue.toml"
_DISTRIBUTION = "triton"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_HEAD = """\
# A smaller Triton: `tritonbuild build //:{name}` makes it, `tritonbuild push //:{name} --to …`
# pushes it.
"""


@dataclass(frozen=True)
class Composition:
    """Of the server and what is named."""

    name: str
    """Of the target."""
    backends: Sequence[str] = ()
    repoagents: Sequence[str] = ()
    caches: Sequence[str] = ()
    release: str = ""
    """Such as 25.08; empty where images are named."""
    images: dict[str, str] = field(default_factory=dict)
    """`min`, `full` → reference."""
    gpu: bool = True
    platform: str = "linux/amd64"
    slim: Sequence[str] = ()
    component_cache: str = ""
    """A repository that keeps what is cut."""
    catalogue: str = ""
    """What is to be known of components besides, as TOML."""

    @property
    def files(self) -> dict[str, str]:
        """Of a workspace that says it: name → content."""
        more = {CATALOGUE: self.catalogue} if self.catalogue else {}
        return {MANIFEST: self.manifest, **more}

    @property
    def manifest(self) -> str:
        """As triton.toml."""
        import tomli_w

        return _HEAD.format(name=self.name) + "\n" + tomli_w.dumps(self._document)

    @property
    def _document(self) -> dict[str, Any]:
        distribution: dict[str, Any] = {"release": self.release} if self.release else {}
        distribution |= self.images
        if not self.gpu:
            distribution["gpu"] = False
        image: dict[str, Any] = {"distribution": f":{_DISTRIBUTION}"}
        document: dict[str, Any] = {"workspace": {"name": self.name}}
        if self.platform != "linux/amd64":
            distribution["platform"] = image["platform"] = self.platform
        if self.component_cache:
            distribution["component_cache"] = self.component_cache
        if self.catalogue:
            distribution["catalogue"] = CATALOGUE
        if self.slim:
            distribution["slim"] = list(self.slim)
        document["distributions"] = {_DISTRIBUTION: distribution}
        for kind in ("backends", "repoagents", "caches"):
            names = list(dict.fromkeys(getattr(self, kind)))
            if names:
                document[kind] = {name: {} for name in names}
                image[kind] = names
        # As compose.py's images are: they run what they are told, as root.
        image |= {"user": "root", "command": [], "ports": []}
        document["images"] = {self.name: image}
        return document


def images_of(texts: Sequence[str]) -> dict[str, str]:
    """Name → reference, of what `--image` says. Raises UsageError."""
    found: dict[str, str] = {}
    for text in texts:
        name, comma, reference = text.partition(",")
        if not comma or "," in reference or not reference.strip():
            raise UsageError(
                Problem(f"--image {text}", "NAME,REFERENCE with one comma",
                        "such as --image min,registry.example/tritonserver:min")
            )  # fmt: skip
        if name not in IMAGES:
            found_ = f"--image {text}: {name!r} is no image of a release"
            raise UsageError(Problem(found_, f"one of: {', '.join(IMAGES[:-1])}"))
        if found.setdefault(name, reference.strip()) != reference.strip():
            found_ = f"--image says two images for {name}: {found[name]} and {reference}"
            raise UsageError(Problem(found_, "one", "take one of them away"))
    if "gpu-min" in found:
        raise UsageError(
            Problem(
                f"--image gpu-min,{found['gpu-min']}",
                "`min` and `full`",
                "take it away: what PyTorch needs of CUDA is found in `full`, or told as lacking",
            )
        )
    if found:
        for name in ("min", "full"):
            if name not in found:
                remedy = f"add --image {name},…; or name a release: --container-version {NEWEST}"
                told = " and ".join(f"--image {one},…" for one in found)
                raise UsageError(Problem(f"{told} without {name}", "`min` and `full`", remedy))
    return found


def check_names(composition: Composition) -> None:
    """Raises UsageError for names that can be no component's."""
    if problems := list(_wrong(composition)):
        raise UsageError(*problems)


def _wrong(composition: Composition) -> Iterator[Problem]:
    for kind in ("backends", "repoagents", "caches"):
        for name in getattr(composition, kind):
            if not _NAME.fullmatch(name) or ".." in name:
                flag = f"--{kind.removesuffix('s')}"
                yield Problem(f"{flag} {name!r} is no component's name", "such as python")
            elif (kind, name) == ("backends", "ensemble"):
                remedy = "take it away: ensembles always work"
                yield Problem("--backend ensemble", "a backend; it is part of the server", remedy)


def target_name(output: str, others: Iterable[str]) -> str:
    """Of the target, for what an image is to be called: `python-image` where that is what another
    target is called, or patterns mean something else by it."""
    name = short_name(output)
    return f"{name}-image" if name in {_DISTRIBUTION, "all", *others} else name


def short_name(output: str) -> str:
    """`tritonserver` of `registry.example/acme/tritonserver:v1`."""
    last = output.rpartition("/")[2].partition("@")[0].partition(":")[0]
    return re.sub(r"[^A-Za-z0-9_.-]", "-", last) or "tritonserver"

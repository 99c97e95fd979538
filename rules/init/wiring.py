"""Models that need others: ensembles their members, callers whom they call."""

from __future__ import annotations

from tritonbuild.rule import Problem

from .found import FoundModel
from .manifest import Everything, Package


def check_wiring(everything: Everything) -> None:
    """An ensemble without its members gets an obstacle; a caller a remark, and what cannot be said
    is taken from its callees."""
    pairs = [(package, model) for package in everything.packages for model in package.models]
    for package, model in pairs:
        for member in model.members:
            if everything.model(member, package) is None:
                found = f"its member {member!r} is not here, or is more than once"
                remedy = "bring its repository over as well"
                model.obstacles.append(Problem(found, remedy=remedy))
        if model.is_ensemble and (circle := _circle(everything, package, model)):
            found = f"it is a member of itself: {' → '.join(circle)}"
            model.obstacles.append(Problem(found, remedy="break the circle"))
    while [pair for pair in pairs if _wait(everything, *pair)]:
        continue
    for package, model in pairs:
        for name in list(model.callees):
            if why := _why_not_called(everything, package, model, name):
                model.callees.remove(name)
                model.remarks.append(f"It calls {name!r}, {why}.")


def _wait(everything: Everything, package: Package, model: FoundModel) -> bool:
    """An ensemble waits for members that cannot be declared yet; whether that is news."""
    if model.obstacles:
        return False
    for member in model.members:
        found = everything.model(member, package)
        if found is not None and found.obstacles:
            problem = Problem(f"its member {member!r} is not declared yet", remedy="declare that")
            model.obstacles.append(problem)
    return bool(model.obstacles)


def _why_not_called(everything: Everything, package: Package, model: FoundModel, name: str) -> str:
    """Why a callee cannot be said; empty when it can."""
    callee = everything.model(name, package)
    if callee is None:
        return "which is not here, or is more than once"
    if callee.obstacles:
        return "which is not declared yet"
    if model.name in (needed.name for needed in everything.served(callee, package)):
        return "which needs it in turn, so that `bls` cannot say so"
    return ""


def _circle(everything: Everything, package: Package, model: FoundModel) -> list[str]:
    """Names from an ensemble to itself by way of members; empty when there is no way."""

    queue = [(model, [model.name])]
    seen: set[str] = set()
    while queue:
        here, passed = queue.pop()
        for member in here.members:
            if member == model.name:
                return [*passed, member]
            if member not in seen and (found := everything.model(member, package)):
                seen.add(member)
                queue.append((found, [*passed, member]))
    return []

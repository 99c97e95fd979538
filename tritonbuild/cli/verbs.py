"""The verbs, a sentence each. The module of a verb has its name."""

from __future__ import annotations

VERBS = {
    "init": "Write manifests for models that are there already.",
    "build": "Build targets.",
    "test": "Build targets and run the verifications among them.",
    "run": "Serve a model or a repository here, until Ctrl-C.",
    "config": "Print a model's full config, and where each field came from.",
    "why": "Say why a target's actions last ran.",
    "lock": "Resolve everything anew and write triton.lock.",
    "info": "Show where things are; the manifest's JSON Schema.",
    "clean": "Remove tritonbuild-out.",
    "cache": "Look after the shared cache.",
    "doctor": "Check this machine.",
    "completion": "Print a shell's completion script.",
}
HIDDEN = {"tool": "Run a built-in step in the current folder."}

"""The verbs, a sentence each. The module of a verb has its name."""

from __future__ import annotations

VERBS = {
    "init": "Write manifests for models that are there already.",
    "build": "Build targets.",
    "test": "Build targets and run the verifications among them.",
    "run": "Serve a model, a repository or an image here, until Ctrl-C.",
    "push": "Push images to registries; models to object stores and folders.",
    "load": "Load images into Docker.",
    "pull": "Bring an image from a registry here.",
    "promote": "Copy an image of a registry to another name, unchanged.",
    "diff": "Show what two images hold otherwise.",
    "compose": "Make a smaller server image out of NVIDIA's.",
    "config": "Print a model's full config, and where each field came from.",
    "why": "Say why a target's actions last ran.",
    "lock": "Resolve everything anew and write triton.lock.",
    "info": "Show where things are; an image's layers; the JSON Schema.",
    "clean": "Remove tritonbuild-out.",
    "cache": "Look after the shared cache.",
    "doctor": "Check this machine.",
    "completion": "Print a shell's completion script.",
}
HIDDEN = {"tool": "Run a built-in step in the current folder."}

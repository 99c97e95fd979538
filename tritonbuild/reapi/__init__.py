"""Messages of the Remote Execution API v2 (https://github.com/bazelbuild/remote-apis)."""

from tritonbuild.reapi.actions_pb2 import (
    Action,
    ActionResult,
    Command,
    Directory,
    DirectoryNode,
    ExecutedActionMetadata,
    FileNode,
    OutputDirectory,
    OutputFile,
    Platform,
    SymlinkNode,
    Tree,
)
from tritonbuild.reapi.actions_pb2 import Digest as DigestMessage

__all__ = [
    "Action",
    "ActionResult",
    "Command",
    "DigestMessage",
    "Directory",
    "DirectoryNode",
    "ExecutedActionMetadata",
    "FileNode",
    "OutputDirectory",
    "OutputFile",
    "Platform",
    "SymlinkNode",
    "Tree",
]

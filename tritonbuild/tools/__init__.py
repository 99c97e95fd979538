"""The steps that an executor can run in this process: what a tool is and what it is given."""

from tritonbuild.tools.container import Bind, Container
from tritonbuild.tools.context import Process, ToolContext
from tritonbuild.tools.tool import Tool, tool

__all__ = ["Bind", "Container", "Process", "Tool", "ToolContext", "tool"]

"""A client of a Remote Execution service with the API's own messages, as BuildStream's wheel ships
them: a transcription of ours could be wrong in the same way as what it tests.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

import grpc

from parts import store
from parts.casd import REQUIREMENT
from tritonbuild.digest import Digest

EXECUTION = "buildstream._protos.build.bazel.remote.execution.v2.remote_execution"


def load(name: str) -> ModuleType:
    """A generated module of the wheel, without BuildStream's own `__init__`, which wants more."""
    if "buildstream" not in sys.modules:
        package = ModuleType("buildstream")
        package.__path__ = [str(store.wheel(REQUIREMENT) / "buildstream")]
        sys.modules["buildstream"] = package
    return importlib.import_module(name)


class Client:
    """One method a call of the API that tests need."""

    def __init__(self, channel: grpc.Channel):
        self.api = load(f"{EXECUTION}_pb2")
        services = load(f"{EXECUTION}_pb2_grpc")
        self._store = services.ContentAddressableStorageStub(channel)
        self._actions = services.ActionCacheStub(channel)
        self._execution = services.ExecutionStub(channel)

    def digest(self, digest: Digest) -> Any:
        return self.api.Digest(hash=digest.hash, size_bytes=digest.size)

    def missing(self, digests: Iterable[Digest]) -> set[Digest]:
        """FindMissingBlobs."""
        request = self.api.FindMissingBlobsRequest(blob_digests=map(self.digest, digests))
        reply = self._store.FindMissingBlobs(request)
        return {Digest(blob.hash, blob.size_bytes) for blob in reply.missing_blob_digests}

    def upload(self, blobs: Mapping[Digest, bytes]) -> set[int]:
        """BatchUpdateBlobs; the status codes of the blobs (0: stored)."""
        request = self.api.BatchUpdateBlobsRequest()
        for digest, content in blobs.items():
            request.requests.add(digest=self.digest(digest), data=content)
        reply = self._store.BatchUpdateBlobs(request)
        return {response.status.code for response in reply.responses}

    def read(self, digest: Any) -> bytes:
        """BatchReadBlobs of one blob, by the digest that a service named."""
        request = self.api.BatchReadBlobsRequest(digests=[digest])
        (response,) = self._store.BatchReadBlobs(request).responses
        assert response.status.code == 0, response.status.message
        return bytes(response.data)

    def execute(self, key: Digest) -> Any:
        """Execute, to its end: an ExecuteResponse."""
        *_, operation = self._execution.Execute(
            self.api.ExecuteRequest(action_digest=self.digest(key))
        )
        assert operation.done
        response = self.api.ExecuteResponse()
        operation.response.Unpack(response)
        return response

    def result(self, key: Digest) -> Any:
        """GetActionResult; None when the service knows none."""
        try:
            return self._actions.GetActionResult(
                self.api.GetActionResultRequest(action_digest=self.digest(key))
            )
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise

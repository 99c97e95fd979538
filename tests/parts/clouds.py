"""Object stores on this machine: servers that speak the protocols of S3, Google and Azure."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parts.missing import missing
from parts.ports import free_port, server

SECRET = "a-secret-that-nobody-should-see"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's, known to all."""


@contextmanager
def moto(folder: Path) -> Iterator[str]:
    """Its address. Any account will do."""
    port = free_port()
    argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with server(argv, port, folder / "log"):
        yield f"http://127.0.0.1:{port}"


def aws_variables(endpoint: str, folder: Path) -> dict[str, str]:
    """An account by environment variables alone."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_CONFIG_FILE": str(folder / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": str(folder),
    }


@contextmanager
def google(folder: Path) -> Iterator[str]:
    """Its address, with a bucket `models`."""
    port = free_port()
    argv = [
        Path(sys.executable).parent / "gcp-storage-emulator", "start", "--host=127.0.0.1",
        f"--port={port}", "--in-memory", "--default-bucket=models",
    ]  # fmt: skip
    with server(argv, port, folder / "log"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def azurite(folder: Path) -> Iterator[str]:
    """The address of ACCOUNT."""
    azurite = Path(sys.prefix, "azurite/node_modules/azurite/dist/src/blob/main.js")
    node = Path(sys.executable).parent / "node"
    if not azurite.exists() or not node.exists():
        missing("Azurite is not installed", "tests/install installs it")
    port = free_port()
    argv = [
        node, azurite, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", folder,
        "--silent", "--skipApiVersionCheck",
    ]  # fmt: skip
    with server(argv, port, folder / "log"):
        yield f"http://127.0.0.1:{port}/{ACCOUNT}"


def connection(endpoint: str, key: str = KEY) -> str:
    """What AZURE_STORAGE_CONNECTION_STRING says."""
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};"
        f"BlobEndpoint={endpoint};"
    )

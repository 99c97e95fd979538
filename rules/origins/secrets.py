"""URLs that open doors: a manifest and triton.lock are read by many, and hold none."""

from __future__ import annotations

import re
from urllib.parse import unquote

_CREDENTIALS = re.compile(r"[^/?#]*@|[^/?#]*:(?!\d*(/|\Z)).*@", re.S)
"""What follows `://`. A password may hold anything."""
_SECRET = re.compile(
    r"token|secret|passw|pwd|signature|credential|jwt|bearer|session|policy|hmac"
    r"|api[-_]?key|auth(?!or(?!i))|key(id)?\Z|key[-_]"
    r"|(?<![a-z])(pass|sig\Z|sign\Z|sas|code\Z|otp\Z|ticket)",
    re.I,
)
"""In names of queries whose values may open doors."""


def secret_in(url: str) -> str:
    """Which kind of secret a URL holds, and never the secret; empty if none is seen."""
    scheme, _, rest = url.partition("://")
    # On Hugging Face what follows an @ is a revision.
    if scheme.lower() != "hf" and _CREDENTIALS.match(rest):
        where = "in the environment, or in ~/.netrc for https"
        return f"it holds credentials, and a manifest is no place for them: they belong {where}"
    for part in re.split("[?#&;]", url)[1:]:
        name, equals, _ = part.partition("=")
        if equals and _SECRET.search(unquote(name)):
            return f"it holds a secret ({unquote(name)}=…), and a manifest is no place for one"
    return ""

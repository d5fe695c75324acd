"""What must not leave a task: how secrets and mail addresses look in text, and which ones this process was given.

Two strengths. `SURE` are shapes that nothing else has (keys, tokens, logins in addresses): hidden anywhere, titles
included. `LIKELY` (``password=...``, mail addresses) may hit ordinary prose, and are hidden where text is only told,
never in data. Every pattern has bounded repeats, so that no text takes long.

Sources of the shapes: RFC 7519 (JWT), RFC 7468 (PEM), RFC 3986 section 3.2.1 (userinfo), the prefixes that AWS, GitHub,
GitLab, Slack, Google, OpenAI and Anthropic document for their keys.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

HIDDEN = "***"
SHORTEST = 8
"""Values of fewer characters are words, not secrets: hiding them everywhere would blank ordinary text."""

LOGIN = r"""(?P<scheme>[a-zA-Z][a-zA-Z0-9+.\-]{0,31}://)[^\s/"'<>]{1,512}@"""
SURE = (
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:\s{0,4}[A-Za-z\-]{1,30}: [^\n]{0,200}\n)*"
    r"[A-Za-z0-9+/=\s\\]*(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?",
    r"\beyJ[A-Za-z0-9_\-]{8,2048}\.[A-Za-z0-9_\-]{8,4096}\.[A-Za-z0-9_\-]{0,2048}",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\b(?:sk-[A-Za-z0-9_\-]{16,256}|gh[oprsu]_[A-Za-z0-9]{20,256}|github_pat_[A-Za-z0-9_]{20,256}"
    r"|glpat-[A-Za-z0-9_\-]{16,256}|xox[abeoprs]-[A-Za-z0-9\-]{10,256}|AIza[A-Za-z0-9_\-]{35})",
)
ASSIGNED = (
    r"""(?i)(?P<name>(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_\-]?key|access[_\-]?key|private[_\-]?key"""
    r"""|credentials?)["']?\s{0,3}[=:]\s{0,3}["']?)[^\s"',;&)}\]]{3,1024}"""
)
BEARER = r"(?i)(?P<name>\b(?:authorization\s{0,3}[:=]\s{0,3}(?:[a-z]{1,20}\s{1,3})?|bearer\s{1,3}))[A-Za-z0-9._~+/=\-]{8,4096}"
ADDRESS = r"[A-Za-z0-9._%+\-]{1,64}@[A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63}){1,8}"

SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?$|secret|token$|api_?key|private_?key|access_?key|credential|authorization|cookie|fernet",
    re.I,
)
_LOGIN, _ASSIGNED, _BEARER, _ADDRESS = (re.compile(one) for one in (LOGIN, ASSIGNED, BEARER, ADDRESS))
_SURE = re.compile("|".join(f"(?:{one})" for one in SURE))
# PostgreSQL's jsonb refuses NUL, UTF-8 refuses lone surrogates.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def clean_text(text: str, known: Iterable[str] = ()) -> str:
    r"""Return the text without secrets, mail addresses, `known` values and characters that cannot be stored.

    >>> clean_text("postgresql://me:pw@db/x by a.b@c.example\x00, password=hunter2")
    'postgresql://***@db/x by ***, password=***'
    """
    text = _UNSTORABLE.sub("", text)
    for value in known:
        if value in text:
            text = text.replace(value, HIDDEN)
    text = hide_sure(text)
    text = _BEARER.sub(rf"\g<name>{HIDDEN}", _ASSIGNED.sub(rf"\g<name>{HIDDEN}", text))
    return _ADDRESS.sub(HIDDEN, text) if "@" in text else text


def hide_sure(text: str) -> str:
    """Return the text without what can only be a secret; ordinary prose stays as it is.

    >>> hide_sure("The secret: how AKIAIOSFODNN7EXAMPLE leaked to me@mail.example")
    'The secret: how *** leaked to me@mail.example'
    """
    if "://" in text and "@" in text:
        text = _LOGIN.sub(rf"\g<scheme>{HIDDEN}@", text)
    return _SURE.sub(HIDDEN, text)


def shown_in(text: str) -> list[str]:
    """Return the secrets and mail addresses that a text shows, so that a log can be told to hide them.

    >>> shown_in("no route to postgresql://me:pw123456@db/x for a.b@c.example")
    ['me:pw123456', 'a.b@c.example']
    """
    found = [match[0][len(match["scheme"]) : -1] for match in _LOGIN.finditer(text)]
    found += [match[0] for match in _SURE.finditer(text)]
    for pattern in (_ASSIGNED, _BEARER):
        found += [match[0][len(match["name"]) :] for match in pattern.finditer(text)]
    rest = _LOGIN.sub(r"\g<scheme>", text)
    found += [match[0] for match in _ADDRESS.finditer(rest)]
    return list(dict.fromkeys(value for value in found if value and value != HIDDEN))


def given_to(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the secrets that a process was given by environment, the longest first.

    Values of secret-named variables, passwords inside addresses, and secret fields of connections written as JSON.
    """
    found: set[str] = set()
    for name, value in environment.items():
        if SECRET_NAME.search(name):
            found.add(value)
        if name.startswith("AIRFLOW_CONN_") or "://" in value:
            found |= set(_in_connection(value))
    return tuple(sorted((value for value in found if len(value) >= SHORTEST), key=len, reverse=True))


def _in_connection(value: str) -> Iterator[str]:
    for match in _LOGIN.finditer(value):
        login = match[0][len(match["scheme"]) : -1]
        yield from {login.partition(":")[2], unquote(login.partition(":")[2])}
    if value.startswith("{"):
        try:
            fields: Any = json.loads(value)
        except ValueError:
            return  # not a connection after all
        yield from _secret_fields(fields)


def _secret_fields(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _secret_fields(item, str(key) if not SECRET_NAME.search(name) else name)
    elif isinstance(value, list):
        for item in value:
            yield from _secret_fields(item, name)
    elif isinstance(value, str) and SECRET_NAME.search(name):
        yield value

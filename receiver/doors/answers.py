"""The JSON that every door speaks: values in, one encoder, errors that say what was expected."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NoReturn

import msgspec
from aiohttp import web

# Beside a 503: when it is worth asking again.
RETRY = {"Retry-After": "5"}

_encoder = msgspec.json.Encoder()
_EXCEPTIONS: dict[int, type[web.HTTPException]] = {
    400: web.HTTPBadRequest,
    401: web.HTTPUnauthorized,
    403: web.HTTPForbidden,
    404: web.HTTPNotFound,
    409: web.HTTPConflict,
    429: web.HTTPTooManyRequests,
    500: web.HTTPInternalServerError,
    503: web.HTTPServiceUnavailable,
}


def answer(value: object, *, status: int = 200) -> web.Response:
    return web.Response(body=_encoder.encode(value), content_type="application/json", status=status)


def refuse(status: int, text: str, *, headers: Mapping[str, str] = MappingProxyType({})) -> NoReturn:
    body = _encoder.encode({"error": text}).decode()
    raise _EXCEPTIONS[status](text=body, content_type="application/json", headers=headers)


def limit_of(request: web.Request, *, default: int, most: int) -> int:
    written = request.query.get("limit")
    if written is None:
        return default
    if not (written.isascii() and written.isdecimal() and len(written) <= 10 and 1 <= int(written) <= most):
        refuse(400, f"limit: found {written[:40]!r}, expected a whole number from 1 to {most}")
    return int(written)

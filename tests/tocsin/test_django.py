"""Django's middleware, in a real Django, under its WSGI and its ASGI handler."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import django
import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client
from django.urls import include, path, re_path

from tests.tocsin.test_middleware import OutOfStock, Told
from tocsin.django import Middleware
from tocsin.identifiers import CURRENT

TOLD = Told()


class Watched(Middleware):
    """As it is named in the settings, which hand nothing in."""

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response, tell=TOLD)


def cart(request: HttpRequest, number: int) -> HttpResponse:
    assert CURRENT.get() is not None
    return HttpResponse(str(number))


def fails(request: HttpRequest) -> HttpResponse:
    raise OutOfStock


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[bytes]:
        yield b"a"
        assert not TOLD.requests
        yield b"b"

    return StreamingHttpResponse(parts())


urlpatterns = [
    path("cart/<int:number>/", cart),
    path("fails/", fails),
    path("stream/", stream),
    path("shops/<slug:shop>/", include([path("cart/<int:number>/", lambda request, shop, number: HttpResponse(shop))])),
    re_path(r"^old/(?P<number>[0-9]+)/$", cart),
]


@pytest.fixture(autouse=True)
def told() -> Told:
    if not settings.configured:
        settings.configure(
            ROOT_URLCONF=__name__,
            MIDDLEWARE=[f"{__name__}.Watched"],
            ALLOWED_HOSTS=["*"],
            SECRET_KEY="of a test",
            DATABASES={},
        )
        django.setup()
    TOLD.events.clear()
    return TOLD


CASES = [
    ("/cart/12345/", "/cart/<int:number>/", 200),
    ("/shops/ana/cart/1/", "/shops/<slug:shop>/cart/<int:number>/", 200),
    ("/old/12345/", "/old/(?P<number>[0-9]+)/$", 200),
    ("/fails/", "/fails/", 500),
    ("/ana@example.org/", "unmatched", 404),
]


@pytest.mark.parametrize(("where", "route", "status"), CASES)
@pytest.mark.parametrize("way", ["wsgi", "asgi"])
def test_django_is_told_by_template(told: Told, where: str, route: str, status: int, way: str) -> None:
    if way == "wsgi":
        answer = Client(raise_request_exception=False).get(where, headers={"X-Correlation-ID": "order-4711"})
    else:
        client = AsyncClient(raise_request_exception=False)
        answer = asyncio.run(client.get(where, headers={"X-Correlation-ID": "order-4711"}))
    answer.close()
    assert answer.status_code == status
    assert answer.headers["X-Correlation-ID"] == "order-4711"
    assert told.requests == [("GET", route, status)]
    assert told.errors == ([("OutOfStock", "http")] if where == "/fails/" else [])
    assert "ana" not in str(told.events)
    assert CURRENT.get() is None


def test_a_stream_of_django_is_told_at_its_end(told: Told) -> None:
    answer = Client().get("/stream/")
    assert b"".join(answer.streaming_content) == b"ab"
    answer.close()
    assert told.requests == [("GET", "/stream/", 200)]

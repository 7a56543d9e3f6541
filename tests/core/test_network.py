"""The Hub is asked once, within three seconds, and not at all where a variable forbids it."""

from __future__ import annotations

import socket
import ssl
import threading
import urllib.error
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from nait.hub import reachability as network
from nait.hub.reachability import OFFLINE, closed_hub, unreachable_hub


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*OFFLINE, "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def refusing_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    class Refusal(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_error(503)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Refusal) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("no_waiting")
def test_an_unreachable_hub_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert closed_hub().startswith("http://127.0.0.1:9 cannot be reached (")


def test_a_hub_that_accepts_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "cannot be reached" in unreachable_hub()


def test_the_time_limit_and_its_margin_are_below_three_seconds() -> None:
    assert network.SECONDS + 0.25 < 3


@pytest.mark.usefixtures("refusing_hub")
def test_a_refusal_is_an_answer() -> None:
    assert closed_hub() == ""


def test_a_certificate_that_is_not_trusted_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def distrust(*_: object, **__: object) -> None:
        raise urllib.error.URLError(ssl.SSLCertVerificationError("self-signed certificate"))

    monkeypatch.setattr("urllib.request.urlopen", distrust)
    assert closed_hub() == ""


@pytest.mark.parametrize("name", OFFLINE)
def test_a_variable_that_forbids_the_hub_closes_it_unasked(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("the Hub was asked"))
    monkeypatch.setenv(name, "true")
    assert closed_hub() == f"{name} is set"


@pytest.mark.usefixtures("refusing_hub")
def test_a_variable_that_is_off_forbids_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert closed_hub() == ""

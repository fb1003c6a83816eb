"""The web application: the page, and what it asks for.

It is made for one user on one machine. Requests from pages of other origins, and under other host
names, are refused, so that no website can use it through the user's browser. Bodies are bounded in
size and time.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from shd_genn.serve.listener import Listener
from shd_genn.serve.takes import Takes
from shd_genn.support.errors import ShdGennError

PAGE = Path(__file__).parent / "page"
LARGEST = 4_000_000
"""Bytes of a recording: 5 s of 48 kHz stereo as floats are less."""
LARGEST_PIECE = 160_000
"""Bytes of a piece of a stream: 5 s."""
KEY = re.compile("[A-Za-z0-9]{8,40}")
"""What streams may be called."""
LONGEST_UPLOAD_S = 15.0
"""Seconds that sending a recording may take."""
WAITING = 12
"""Recordings that may wait to be listened to."""
KEPT = 20
"""Recordings that can still be labelled."""
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class OwnOriginOnly:
    """Refuses requests of other hosts and origins, before anything of them is read.

    Args:
        app: The application.
        hosts: Names that the server may be called by, with or without its port.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app, self._hosts = app, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        host = request.headers.get("host", "")
        origin = request.headers.get("origin")
        problem = ""
        if urlsplit(f"//{host}").hostname not in self._hosts:
            problem = f"host {host} is not served here; open the address that serve printed"
        elif origin is not None and urlsplit(origin).netloc != host:
            problem = f"pages of {origin} may not ask here; open the address that serve printed"
        elif request.method == "POST" and origin is None and "x-shd-genn" not in request.headers:
            problem = "the header X-Shd-Genn is missing; send it with any value"
        if problem:
            await _refused(403, problem)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _refused(status: int, problem: str) -> Response:
    return JSONResponse({"error": problem}, status, HEADERS)


class Server:
    """What the routes share.

    Args:
        listener: The runs.
        takes: Where labelled recordings go.
    """

    def __init__(self, listener: Listener, takes: Takes) -> None:
        self._listener, self._takes = listener, takes
        self._recordings: OrderedDict[str, bytes] = OrderedDict()
        self._waiting = 0

    def file(self, name: str) -> Any:
        """A route that sends a file of the page."""

        async def send(_: Request) -> Response:
            return FileResponse(PAGE / name, headers=HEADERS)

        return send

    async def runs(self, _: Request) -> Response:
        """The runs and their words."""
        runs = [{"name": r.name, "words": list(r.words)} for r in self._listener.ready]
        content = {
            "runs": runs,
            "folder": str(self._takes.folder),
            "streams": self._listener.streams,
        }
        return JSONResponse(content, headers=HEADERS)

    async def listen(self, request: Request) -> Response:
        """Answer a recording, which is the request's body."""
        if self._waiting >= WAITING:
            return _refused(503, f"{WAITING} recordings are waiting already; try again in a second")
        self._waiting += 1
        try:
            async with asyncio.timeout(LONGEST_UPLOAD_S):
                body = await _body(request)
            if body is None:
                return _refused(
                    413,
                    f"a recording may have {LARGEST // 1_000_000} MB, but this has more; cut it",
                )
            answer = await run_in_threadpool(self._listen, body)
        except TimeoutError:
            return _refused(
                408, f"sending took over {LONGEST_UPLOAD_S:.0f} s; try a shorter recording"
            )
        except ShdGennError as error:
            return _refused(422, str(error))
        except ClientDisconnect:
            return Response(status_code=400)
        finally:
            self._waiting -= 1
        key = secrets.token_hex(8)
        self._recordings[key] = body
        while len(self._recordings) > KEPT:
            self._recordings.popitem(last=False)
        return JSONResponse(answer | {"id": key}, headers=HEADERS)

    async def stream(self, request: Request) -> Response:
        """Take the next piece of a stream: 16 bits, little-endian, 16000 samples a second."""
        key = request.query_params.get("key", "")
        if not KEY.fullmatch(key):
            return _refused(400, "a stream needs a key of 8 to 40 letters and digits")
        if self._waiting >= WAITING:
            return _refused(503, f"{WAITING} recordings are waiting already; try again in a second")
        self._waiting += 1
        try:
            async with asyncio.timeout(LONGEST_UPLOAD_S):
                body = await _body(request)
            if body is None or len(body) % 2 or len(body) > LARGEST_PIECE:
                return _refused(
                    413, f"a piece must be of 16-bit samples, {LARGEST_PIECE} bytes at most"
                )
            sound = np.frombuffer(body, "<i2").astype(np.int16)
            heard = await run_in_threadpool(self._listener.hear, key, sound)
        except TimeoutError:
            return _refused(408, f"sending took over {LONGEST_UPLOAD_S:.0f} s; send shorter pieces")
        except ShdGennError as error:
            return _refused(422, str(error))
        except ClientDisconnect:
            return Response(status_code=400)
        finally:
            self._waiting -= 1
        return JSONResponse(heard, headers=HEADERS)

    def _listen(self, body: bytes) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "recording.wav"
            path.write_bytes(body)
            try:
                return self._listener.listen(path)
            except ShdGennError as error:  # the user knows no temporary file
                raise type(error)(str(error).replace(str(path), "the recording")) from error

    async def label(self, request: Request) -> Response:
        """Save one of the last recordings under its word."""
        body = await _body(request)
        try:
            asked = json.loads(body or b"")
            key, word = str(asked["id"]), str(asked["word"])
            speaker = str(asked.get("speaker", ""))
        except (ValueError, KeyError, TypeError, AttributeError):
            return _refused(400, "the request has no id and word; send both as JSON")
        if (sound := self._recordings.get(key)) is None:
            return _refused(404, "that recording is not kept any more; record it again")
        try:
            count = await run_in_threadpool(self._takes.add, sound, word, speaker)
        except ShdGennError as error:
            return _refused(422, str(error))
        return JSONResponse({"saved": count, "folder": str(self._takes.folder)}, headers=HEADERS)


async def _body(request: Request) -> bytes | None:
    """The whole body; None if it is too large, of which no more is read then."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > LARGEST:
        return None
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST:
            return None
        parts.append(part)
    return b"".join(parts)


def application(listener: Listener, takes: Takes, hosts: Sequence[str]) -> ASGIApp:
    """The application as a server runs it."""
    server = Server(listener, takes)
    routes = [
        Route("/", server.file("index.html")),
        *(
            Route(f"/{name}", server.file(name))
            for name in ("page.js", "draw.js", "sound.js", "capture.js", "page.css", "icon.svg")
        ),
        Route("/runs", server.runs),
        Route("/listen", server.listen, methods=["POST"]),
        Route("/stream", server.stream, methods=["POST"]),
        Route("/label", server.label, methods=["POST"]),
    ]
    return OwnOriginOnly(Starlette(routes=routes), hosts)

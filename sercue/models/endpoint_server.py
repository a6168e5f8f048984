"""A server with OpenAI's chat completions: several requests at once, retried, errors made plain."""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import re
import sys
import time
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from sercue.errors import InputError, ServerError
from sercue.privacy import INSTEAD, guard_key, hide_in_logs, without_secrets

logger = logging.getLogger(__name__)

# Servers on one's own machine ask for no key, and the client insists on one.
_NO_KEY = "none"
_SECONDS_TO_CONNECT = 10.0
_SECONDS_FOR_FACTS = 10.0
_LONGEST_MESSAGE = 200
_VERSIONS = 3
# Pairs of them are one letter by now: what is left is half of one.
_SURROGATE = re.compile("[\ud800-\udfff]")
# The log-probabilities of a prompt of 100 000 tokens take some 10 MB.
_LONGEST_REPLY = 16 * 2**20
# Refused now, welcome later: timeout, conflict, too many requests.
_PASSING = (408, 409, 429)
_GO_ON = (
    "What a study has stored is kept: see to the server, then run again, and only what is missing "
    "is asked"
)


class _NoCompletionError(ValueError):
    """A reply that is no chat completion."""


class RefusedRequest(InputError):
    """A request that the server calls wrong, so that asking again would not help.

    Attributes:
        status: HTTP status
        reason: what the server said
    """

    def __init__(self, message: str, status: int, reason: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


@dataclass(repr=False, eq=False)
class Server:
    """Client of one server, whose errors say in plain words what went wrong.

    The key is read from the environment when a request is sent and kept nowhere; texts of the
    server and of the client, answers and logs among them, are cleared of it before anybody else
    gets them. A server on this machine is asked without the environment's proxies. Redirects are
    not followed, since recordings would be sent to a host that nobody named. A reply may take
    ``timeout`` in all and be 16 MiB long; compressed ones are not asked for and not read.

    The model that a reply names must be the one that was asked for, or, with an ``@`` behind it,
    a version of it that stays the same as long as this process lives. Any other name is refused:
    some servers serve one model under any name, others resolve an alias, and such an alias is
    stated as ``replies_as``. A reply without a name passes.

    Retries are those of the ``openai`` client: connection errors, timeouts and the statuses 408,
    409, 429 and from 500 on, after 0.5 s, 1 s, 2 s and so on up to 8 s each, shortened at random
    by up to a quarter, or after as long as the server says in ``Retry-After``, up to two minutes.

    Args:
        name: how errors call the model
        url: where the server is, up to and with ``/v1``
        key_variable: environment variable that holds the key
        concurrency: requests that are under way at once
        timeout: longest time from sending a request to the end of its reply, in seconds
        retries: how often a request is sent again
        replies_as: name of the model in replies

    Attributes:
        fingerprints: what the server said of its own version, each once, in order
    """

    name: str
    url: str
    key_variable: str
    concurrency: int
    timeout: float
    retries: int
    replies_as: str
    fingerprints: list[str] = field(default_factory=list, init=False)
    _answering: str | None = field(default=None, init=False)

    def ask(
        self, requests: Iterable[Mapping[str, Any]], *, retries: int | None = None
    ) -> list[dict[str, Any]]:
        """The replies to several requests, in their order. The first failure stops all.

        Args:
            requests: arguments of ``chat.completions.create``
            retries: how often each is sent again; as often as the server's by default

        Returns:
            of each reply the entries of its JSON, without keys and without surrogates, which no
            file can hold; the first of its ``choices`` has a ``message``

        Raises:
            InputError: if the environment's key or proxy cannot be used
            RefusedRequest: if the server calls a request wrong, or sends it elsewhere
            ServerError: if it does not answer, not with a chat completion, or as another model
        """
        _library()
        from anyio.from_thread import start_blocking_portal

        most = self.retries if retries is None else retries
        # A thread of its own, since notebooks run an event loop in theirs already.
        with start_blocking_portal() as portal:
            replies, failure = portal.call(self._ask_all, list(requests), most)
        # Raised behind all handlers, so that no chained error shows what this one clears away.
        if failure is not None:
            raise self._explained(*failure)
        for reply in replies:
            told = reply.get("system_fingerprint")
            if isinstance(told, str) and told and told not in self.fingerprints:
                if len(self.fingerprints) == 1:
                    logger.warning(
                        "%s changed while it was asked: its system_fingerprint was %s and is %s",
                        self._place, self.fingerprints[0], self._shown(told),
                    )  # fmt: skip
                self.fingerprints.append(self._shown(told))
        return replies

    @property
    def versions(self) -> str:
        """What the server said of its own version, and whether that changed."""
        told = ", then ".join(self.fingerprints[:_VERSIONS])
        more = ", and so on" if len(self.fingerprints) > _VERSIONS else ""
        changed = "; it changed while this model was asked" if len(self.fingerprints) > 1 else ""
        return told + more + changed

    def cards(self) -> list[dict[str, Any]]:
        """What the server lists of its models, as it writes it; nothing if it does not list any."""
        _library()
        from anyio.from_thread import start_blocking_portal

        with start_blocking_portal() as portal:
            return portal.call(self._list_models)

    async def _ask_all(
        self, requests: list[Mapping[str, Any]], retries: int
    ) -> tuple[list[Any], tuple[Exception, float] | None]:
        import anyio

        openai = _library()
        replies: list[Any] = [None] * len(requests)
        failures: list[tuple[Exception, float]] = []
        waiting = iter(enumerate(requests))

        async def ask_in_turn() -> None:
            for place, request in waiting:
                begun = time.monotonic()
                try:
                    raw = await client.chat.completions.with_raw_response.create(**request)
                    replies[place] = self._completion(raw.content)
                # What the client raises of a server's replies is of no one class.
                except Exception as error:
                    failures.append((error, time.monotonic() - begun))
                    tasks.cancel_scope.cancel()
                    return

        limits = openai.Timeout(self.timeout, connect=min(self.timeout, _SECONDS_TO_CONNECT))
        try:
            client = self._client(limits, self.timeout, retries)
            async with client, anyio.create_task_group() as tasks:
                for _ in range(min(self.concurrency, len(requests))):
                    tasks.start_soon(ask_in_turn)
        except Exception as error:
            failures.append((error, 0.0))
        return replies, failures[0] if failures else None

    async def _list_models(self) -> list[dict[str, Any]]:
        # Many servers have no list, or one of another shape, and answer all the same.
        try:
            async with self._client(_SECONDS_FOR_FACTS, _SECONDS_FOR_FACTS, 0) as client:
                raw = await client.models.with_raw_response.list()
                page = _writable(raw.content)
                return [card for card in page["data"] if isinstance(card, dict)]
        except Exception:
            return []

    def _client(self, timeout: Any, seconds: float, retries: int) -> Any:
        openai, key = _library(), self._key()
        guard_key(self.key_variable)
        hide_in_logs()
        # Of a proxy that cannot be used, the client raises errors of several classes.
        try:
            http = _bounded_client(seconds)(
                follow_redirects=False, trust_env=not _is_loopback(self.url)
            )
        except Exception as error:
            raise InputError(
                f"{self._place} cannot be asked: the proxy that the environment names in "
                f"HTTP_PROXY, HTTPS_PROXY or ALL_PROXY cannot be used ({self._shown(str(error))})"
            ) from None
        return openai.AsyncOpenAI(
            base_url=self.url,
            api_key=key or _NO_KEY,
            timeout=timeout,
            max_retries=retries,
            http_client=http,
            default_headers={"Accept-Encoding": "identity"},
        )

    def _completion(self, body: bytes) -> dict[str, Any]:
        """A reply as its JSON says it, if it is a chat completion of the model asked for."""
        try:
            reply = _writable(body)
        except (ValueError, RecursionError):
            begun = body[: 4 * _LONGEST_MESSAGE].decode("utf-8", "replace")
            raise _NoCompletionError(f"no JSON: {begun}") from None
        choices = reply.get("choices") if isinstance(reply, dict) else None
        first = choices[0] if isinstance(choices, list) and choices else None
        message = first.get("message") if isinstance(first, dict) else None
        if not isinstance(message, dict) or not isinstance(message.get("content"), str | None):
            raise _NoCompletionError("it holds no choices, the first with a message of text")
        self._check_model(reply.get("model"))
        return dict(reply)

    def _check_model(self, told: Any) -> None:
        if not isinstance(told, str) or not told:
            return
        expected = self._answering or self.replies_as
        version = self._answering is None and told.startswith(f"{expected}@")
        if told != expected and not version:
            changed = ", as it did before," if self._answering else ""
            raise ServerError(
                f"{self._place} answers as {self._shown(told)!r}, where {expected!r}{changed} is "
                "valid, so that its answers are not known to be those of the model. If it is the "
                "one you mean, name it so in the study (model: endpoint:NAME); if the server does "
                "not take that name, state it as model_options: {replies_as: NAME}"
            )
        self._answering = told

    def _key(self) -> str:
        key = os.environ.get(self.key_variable, "").strip()
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise InputError(
                f"key_variable: the environment's {self.key_variable} holds characters that no "
                "key has; valid are letters, digits and marks of ASCII"
            )
        return key

    def _explained(self, error: Exception, seconds: float) -> Exception:
        openai = _library()
        if isinstance(error, InputError | ServerError):
            return error
        reason = self._shown(_reason(error))
        if isinstance(error, _NoCompletionError):
            return ServerError(
                f"{self._place} replied with no chat completion ({reason}). {_GO_ON}"
            )
        if not isinstance(error, openai.APIStatusError | openai.APIConnectionError):
            return ServerError(
                f"{self._place} could not be asked ({type(error).__name__}: {reason}). {_GO_ON}"
            )
        status = getattr(error, "status_code", None)
        if status and status < 500 and status not in _PASSING:
            refused = f"{self._place} refused the request: status {status} ({reason})"
            return RefusedRequest(refused + self._hint(error), status, reason)
        if status:
            wait = error.response.headers.get("retry-after")
            asks = f", to be asked again after {self._shown(wait)}" if wait else ""
            reason = f"status {status}: {reason}{asks}"
        tries = int(error.request.headers.get("x-stainless-retry-count", 0)) + 1
        return ServerError(
            f"{self._place} gave no answer ({reason}), {tries} {'try' if tries == 1 else 'tries'} "
            f"over {seconds:.0f} s. {_GO_ON}"
        )

    def _hint(self, error: Any) -> str:
        status = error.status_code
        if status < 400:
            elsewhere = self._shown(error.response.headers.get("location", "another address"))
            return (
                f"; it redirects to {elsewhere}, where no recording is sent unless base_url "
                "names that place itself"
            )
        if status in (401, 403):
            state = "is set" if self._key() else "is not set"
            return f"; the key is read from the environment's {self.key_variable}, which {state}"
        if status in (404, 405):
            return (
                "; base_url goes up to and with /v1, and the model is named as the server lists it"
            )
        return ""

    @property
    def _place(self) -> str:
        proxy = _proxy(self.url)
        through = f", through the proxy that {proxy} names," if proxy else ""
        return f"model {self.name!r}: the server at {self.url}{through}"

    def _shown(self, text: str) -> str:
        """The text without the key, however short that is, on one line that is short itself."""
        key, clear = self._key(), without_secrets(text)
        return shown(clear.replace(key, INSTEAD) if key else clear)


def shown(value: Any) -> str:
    """A value from a server as one short line; empty for ``None``."""
    line = "" if value is None else " ".join(str(value).split())
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]} ..."


def _writable(body: bytes) -> Any:
    """What JSON says, its texts without keys and without surrogates, which no file can hold.

    Raises:
        ValueError: if it is no JSON
        RecursionError: if it nests too deep
    """
    value = json.loads(body)
    # Replies hold thousands of texts, and hardly ever one that has to be changed.
    written = json.dumps(value, ensure_ascii=False)
    fits = written.isascii() or not _SURROGATE.search(written)
    return value if fits and without_secrets(written) == written else _each_text(value)


def _each_text(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value))
    if isinstance(value, list):
        return [_each_text(inner) for inner in value]
    if isinstance(value, dict):
        return {_each_text(name): _each_text(inner) for name, inner in value.items()}
    return value


def _bounded_client(seconds: float) -> type:
    """The class of an HTTP client whose requests end in time, with a body that is not too long."""
    openai = _library()
    import anyio

    # ``httpx``, or what the client has in its place.
    library = sys.modules[openai.DefaultAsyncHttpxClient.__mro__[1].__module__.partition(".")[0]]

    class BoundedClient(openai.DefaultAsyncHttpxClient):  # type: ignore[name-defined]
        async def send(self, request: Any, **options: Any) -> Any:
            try:
                with anyio.fail_after(seconds):
                    reply = await super().send(request, **options | {"stream": True})
                    try:
                        body = await _body(reply)
                    finally:
                        await reply.aclose()
            # As the client's own timeouts, so that it is asked again.
            except TimeoutError:
                told = f"no whole reply within {seconds:g} s"
                raise library.ReadTimeout(told, request=request) from None
            kept = {k: v for k, v in reply.headers.items() if k.lower() != "content-encoding"}
            return type(reply)(reply.status_code, headers=kept, content=body, request=request)

    return BoundedClient


async def _body(reply: Any) -> bytes:
    """The body of a reply, or in its place, which is no JSON, why it is not taken."""
    coding = reply.headers.get("content-encoding", "identity")
    if coding != "identity":
        return f"compressed by {coding}, where a plain body was asked for".encode()
    body = bytearray()
    async for part in reply.aiter_raw():
        body += part
        if len(body) > _LONGEST_REPLY:
            return f"longer than {_LONGEST_REPLY >> 20} MiB".encode()
    return bytes(body)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _proxy(url: str) -> str:
    """The environment variable that names the proxy for a URL, if one does."""
    parts = urlsplit(url)
    if _is_loopback(url) or urllib.request.proxy_bypass(parts.hostname or ""):
        return ""
    known = {name for name, value in os.environ.items() if value}
    names = [f"{scheme}_proxy" for scheme in (parts.scheme, "all")]
    return next((n for name in names for n in (name, name.upper()) if n in known), "")


def _reason(error: Exception) -> str:
    """What the server said, or what happened below the client's own words."""
    body = getattr(error, "body", None)
    if isinstance(body, Mapping):
        return str(body.get("message") or body.get("detail") or body)
    response = getattr(error, "response", None)
    if response is not None:
        return str(response.text) or str(error)
    return f"{error} {error.__cause__ or ''}".strip()


def _library() -> ModuleType:
    try:
        import openai
    except ImportError:
        raise InputError(
            "openai: not installed, and models behind an endpoint are asked with it; "
            "install it with: pip install openai"
        ) from None
    return openai

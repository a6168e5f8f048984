"""A server with OpenAI's chat completions: several requests at once, retried, errors made plain."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from sercue.errors import InputError, ServerError
from sercue.secret_keys import INSTEAD, hide_in_logs, without_secrets

# Servers on one's own machine ask for no key, and the client insists on one.
_NO_KEY = "none"
_SECONDS_TO_CONNECT = 10.0
_SECONDS_FOR_FACTS = 10.0
_LONGEST_MESSAGE = 200
# Refused now, welcome later: timeout, conflict, too many requests.
_PASSING = (408, 409, 429)
_GO_ON = (
    "What a study has stored is kept: see to the server, then run again, and only what is missing "
    "is asked"
)


class RefusedRequest(InputError):
    """A request that the server calls wrong, so that asking again would not help.

    Attributes:
        status: HTTP status
        reason: what the server said
    """

    def __init__(self, message: str, status: int, reason: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Server:
    """Asks one server, and says in plain words what went wrong.

    The key is read from the environment when a request is sent and kept nowhere; texts of the
    server and of the client, answers and logs among them, are cleared of it before anybody else
    gets them.

    Retries are those of the ``openai`` client: connection errors, timeouts and the statuses 408,
    409, 429 and from 500 on, after 0.5 s, 1 s, 2 s and so on up to 8 s each, shortened at random
    by up to a quarter, or after as long as the server says in ``Retry-After``, up to two minutes.

    Args:
        name: how errors call the model
        url: where the server is, up to and with ``/v1``
        key_variable: environment variable that holds the key
        concurrency: requests that are under way at once
        timeout: longest wait for a reply, in seconds
        retries: how often a request is sent again

    Attributes:
        fingerprints: what the server said of its own version, each once
    """

    def __init__(
        self,
        name: str,
        url: str,
        key_variable: str,
        *,
        concurrency: int,
        timeout: float,
        retries: int,
    ) -> None:
        self.name = name
        self.url = url
        self.key_variable = key_variable
        self.concurrency = concurrency
        self.timeout = timeout
        self.retries = retries
        self.fingerprints: list[str] = []

    def ask(
        self, requests: Iterable[Mapping[str, Any]], *, retries: int | None = None
    ) -> list[Any]:
        """The replies to several requests, in their order. The first failure stops all.

        Args:
            requests: arguments of ``chat.completions.create``
            retries: how often each is sent again; as often as the server's by default

        Raises:
            RefusedRequest: if the server calls a request wrong
            ServerError: if it does not answer, or not with a chat completion
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
        told = map(self._cleared, _fingerprints(replies))
        self.fingerprints = list(dict.fromkeys([*self.fingerprints, *told]))
        return replies

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
                    reply = await client.chat.completions.create(**request)
                    message = _message(reply)
                    message.content = message.content and self._cleared(message.content)
                    replies[place] = reply
                # What the client raises of replies that are no JSON is of no one class.
                except Exception as error:
                    failures.append((error, time.monotonic() - begun))
                    tasks.cancel_scope.cancel()
                    return

        limits = openai.Timeout(self.timeout, connect=min(self.timeout, _SECONDS_TO_CONNECT))
        async with self._client(limits, retries) as client, anyio.create_task_group() as tasks:
            for _ in range(min(self.concurrency, len(requests))):
                tasks.start_soon(ask_in_turn)
        return replies, failures[0] if failures else None

    async def _list_models(self) -> list[dict[str, Any]]:
        async with self._client(_SECONDS_FOR_FACTS, 0) as client:
            try:
                page = await client.models.list()
                return [self._cleared_card(card.model_dump()) for card in page.data]
            # Many servers have no list, or one of another shape, and answer all the same.
            except Exception:
                return []

    def _client(self, timeout: Any, retries: int) -> Any:
        openai = _library()
        hide_in_logs([self.key_variable])
        return openai.AsyncOpenAI(
            base_url=self.url,
            api_key=self._key() or _NO_KEY,
            timeout=timeout,
            max_retries=retries,
        )

    def _key(self) -> str:
        key = os.environ.get(self.key_variable, "").strip()
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise InputError(
                f"key_variable: the environment's {self.key_variable} holds characters that no "
                "key has; valid are letters, digits and marks of ASCII"
            )
        return key

    def _explained(self, error: Exception, seconds: float) -> InputError | ServerError:
        openai = _library()
        reason = self._shown(_reason(error))
        if not isinstance(error, openai.APIStatusError | openai.APIConnectionError):
            return ServerError(
                f"{self._place} replied with no chat completion ({reason}). {_GO_ON}"
            )
        status = getattr(error, "status_code", None)
        if status and status < 500 and status not in _PASSING:
            refused = f"{self._place} refused the request: status {status} ({reason})"
            return RefusedRequest(refused + self._hint(status), status, reason)
        if status:
            wait = error.response.headers.get("retry-after")
            asks = f", to be asked again after {self._shown(wait)}" if wait else ""
            reason = f"status {status}: {reason}{asks}"
        tries = int(error.request.headers.get("x-stainless-retry-count", 0)) + 1
        return ServerError(
            f"{self._place} gave no answer ({reason}), {tries} {'try' if tries == 1 else 'tries'} "
            f"over {seconds:.0f} s. {_GO_ON}"
        )

    def _hint(self, status: int) -> str:
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
        return f"model {self.name!r}: the server at {self.url}"

    def _cleared(self, text: str) -> str:
        return without_secrets(text, [self.key_variable])

    def _cleared_card(self, card: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: self._cleared(value) if isinstance(value, str) else value
            for key, value in card.items()
        }

    def _shown(self, text: str) -> str:
        """The text on one line, without the key, however short that is, and short itself."""
        key, clear = self._key(), self._cleared(text)
        line = " ".join((clear.replace(key, INSTEAD) if key else clear).split())
        return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]} ..."


def _message(reply: Any) -> Any:
    """The message of a reply.

    Raises:
        ValueError: if the reply is no chat completion
    """
    choices = getattr(reply, "choices", None)
    message = (
        getattr(choices[0], "message", None) if isinstance(choices, list) and choices else None
    )
    if message is None or not isinstance(message.content, str | None):
        raise ValueError("it holds no choices, the first of them with a message of text")
    return message


def _fingerprints(replies: Iterable[Any]) -> list[str]:
    told = [getattr(reply, "system_fingerprint", None) for reply in replies]
    return [fingerprint for fingerprint in told if isinstance(fingerprint, str) and fingerprint]


def _reason(error: Exception) -> str:
    """What the server said, or what happened below the client's own words."""
    body = getattr(error, "body", None)
    if isinstance(body, Mapping):
        told = body.get("message") or body.get("detail") or body
        return str(told)
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

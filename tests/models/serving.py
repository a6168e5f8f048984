"""Servers on this machine: the real one of transformers, and small ones that fail on purpose."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sercue.models import load_model

HOST = "127.0.0.1"


def served_model(served, *, revision=None, batch_size=8, **options):
    """The model of a study with these options."""
    return load_model(
        f"endpoint:{served}", revision=revision, batch_size=batch_size, options=options
    )


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def wait_until(condition, seconds=600):
    """Whether the condition came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class TransformersServer:
    """``transformers serve`` with one checkpoint, always on the same port."""

    def __init__(self, checkpoint, folder):
        self.model = str(checkpoint)
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}/v1"
        self.log = folder / "serve.log"
        (folder / "home" / "hub").mkdir(parents=True)
        # A hub cache of its own, and nothing fetched; one thread, since the tests share two cores.
        self._environment = os.environ | {
            "HF_HOME": str(folder / "home"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }
        self._process = None

    def start(self):
        """Start it unless it runs, and wait until it says that it is well."""
        if self._process is not None and self._process.poll() is None:
            return
        program = Path(sys.executable).with_name("transformers")
        options = ["--host", HOST, "--port", str(self.port), "--device", "cpu"]
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [str(program), "serve", self.model, *options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self._environment,
                start_new_session=True,
            )
        if not wait_until(self._is_well):
            self.kill()
            raise RuntimeError(f"transformers serve did not start:\n{self.log.read_text()[-2000:]}")

    def kill(self):
        """End it as a crash does: SIGKILL, to all of its process group."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def answered(self):
        """How many chat completions it has answered so far."""
        return self.log.read_text().count('"POST /v1/chat/completions HTTP/1.1" 200')

    def kill_after(self, answers, *, start_again=False):
        """Kill it in the background once it has answered so many more requests."""
        target = self.answered() + answers

        def act():
            wait_until(lambda: self.answered() >= target)
            self.kill()
            if start_again:
                self.start()

        thread = threading.Thread(target=act)
        thread.start()
        return thread

    def _is_well(self):
        if self._process.poll() is not None:
            return False
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port}/health", timeout=2) as reply:
                return reply.status == 200
        except OSError:
            return False


@dataclass
class Seen:
    """A request that a server here received."""

    path: str
    headers: dict
    body: dict
    time: float = field(default_factory=time.monotonic)


class Loopback:
    """A small HTTP server in this process: ``answer(seen)`` gives status, headers and body.

    A body that is no bytes is an iterable of them, sent one by one, without its length. Status 0
    closes the connection without a reply.
    """

    def __init__(self, answer):
        self.answer = answer
        self.seen = []
        self.most_at_once = 0
        self._under_way = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self.url = f"http://{HOST}:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def chats(self):
        """The chat completions that were asked."""
        return [seen for seen in self.seen if seen.path.endswith("/chat/completions")]

    def _respond(self, path, headers, body):
        headers = {name.lower(): value for name, value in headers.items()}
        seen = Seen(path, headers, json.loads(body) if body else {})
        with self._lock:
            self.seen.append(seen)
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            return self.answer(seen)
        finally:
            with self._lock:
                self._under_way -= 1

    def _handler(self):
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, headers, reply = loopback._respond(self.path, dict(self.headers), body)
                if not status:
                    return
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    if isinstance(reply, bytes):
                        self.send_header("Content-Length", str(len(reply)))
                        reply = [reply]
                    self.end_headers()
                    for part in reply:
                        self.wfile.write(part)
                # A client that gave up waiting has closed the connection.
                except ConnectionError:
                    return

            do_GET = do_POST

            def log_message(self, *_):
                pass

        return Handler


JSON = {"Content-Type": "application/json"}


def failure(status, message="no", **headers):
    """A reply with an error as OpenAI's API words it."""
    body = json.dumps({"error": {"message": message}}).encode()
    return status, JSON | {k.replace("_", "-"): v for k, v in headers.items()}, body


def faults_before(faults, answer):
    """An answer that comes behind faults, each of which happens once, in order.

    A fault is a reply, or a number of seconds to wait before the answer.
    """
    waiting = iter(faults)

    def answer_at_last(seen):
        fault = next(waiting, 0)
        if isinstance(fault, tuple):
            return fault
        time.sleep(fault)
        return answer(seen)

    return answer_at_last


def completion(content, **more):
    """A chat completion as servers write it, in the form that ``Loopback`` answers with."""
    message = {"role": "assistant", "content": content}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    reply = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": choices}
    return 200, JSON, json.dumps(reply | more).encode()


def forwarded(server, seen):
    """The reply of another server on this machine to the same request."""
    request = urllib.request.Request(
        f"http://{HOST}:{server.port}{seen.path}",
        data=json.dumps(seen.body).encode() if seen.body else None,
        headers=JSON,
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, JSON, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, JSON, error.read()

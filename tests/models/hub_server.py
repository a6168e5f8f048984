"""A hub on this machine: it answers as far as reading a repository goes."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub.constants as constants
from transformers.utils.hub import hf_api

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Handler(BaseHTTPRequestHandler):
    """Folders by repository, or the status and error code that all of one answers with."""

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def _answer(self):
        self.server.asked.append((self.command, self.path))
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            parts = parts[2:]
        repository, rest = "/".join(parts[:2]), parts[2:]
        held = self.server.repositories.get(repository, (401, "RepoNotFound"))
        if isinstance(held, tuple):
            return self._send(*held)
        if rest[:1] in (["resolve"], ["revision"]) and rest[1] not in ("main", COMMIT):
            return self._send(404, "RevisionNotFound")
        if rest[:1] == ["resolve"]:
            file = held / "/".join(rest[2:])
            return self._send(200, body=file.read_bytes()) if file.is_file() else self._missing()
        if rest[:1] == ["tree"]:
            return self._missing()
        return self._send(200, body=json.dumps({"id": repository, "sha": COMMIT}).encode())

    def _missing(self):
        self._send(404, "EntryNotFound")

    def _send(self, status, code="", body=b""):
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
            # Some servers repeat in their errors what they were sent.
            self.send_header("X-Error-Message", f"sent: {self.headers.get('Authorization')}")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hash(body):x}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def hub(repositories, cache, patch):
    """Serve repositories to this process, which then knows no other hub and no other cache.

    Args:
        repositories: folder, or (status, error code), by name
        cache: an empty folder
        patch: ``pytest.MonkeyPatch``

    Yields:
        the list that each request is added to, as (method, path)
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.repositories, server.asked = repositories, []
    address = f"http://127.0.0.1:{server.server_port}"
    patch.setattr(constants, "ENDPOINT", address)
    # Made once a process, it would remember another hub.
    patch.setattr(hf_api(), "endpoint", address)
    patch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    patch.setattr(constants, "HF_HUB_OFFLINE", False)
    patch.setattr(constants, "HF_HUB_CACHE", str(cache))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

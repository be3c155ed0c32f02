"""Servers for tests: a fake language-model server, mlx-lm's own server, and an S3 store."""

import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

from tests.support.projects import ENVIRONMENT

SECRET = "sk-this-is-the-key-of-a-test-0123456789"
# Failures after which a client must ask again.
FAULTS = {
    "429": (429, '{"error": {"message": "slow down"}}'),
    "500": (500, '{"error": {"message": "oops"}}'),
    "503 in HTML": (503, "<html>busy</html>"),
    "dropped connection": "drop",
    "malformed JSON": (200, '{"choices": [{"mess'),
    "no choice": (200, '{"choices": []}'),
}


class Fake:
    """A server that answers with `behave(request number, messages)`: a text, (status, body), or "drop" to hang up."""

    def __init__(self, behave):
        self.seen, self.answered, self.keys, self.lock = [], [], set(), threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with fake.lock:
                    fake.seen.append(body)
                    number = len(fake.seen)
                fake.keys.add(self.headers["Authorization"])
                reply = behave(number, json.loads(body)["messages"])
                if reply == "drop":
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                status, text = reply if isinstance(reply, tuple) else (200, completion(reply))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("retry-after-ms", "1")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())
                if status == 200:
                    fake.answered.append(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1"


def completion(text: str) -> str:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return json.dumps({"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]})


@contextmanager
def mlx_server(model: Path, log: Path, *options: str):
    """The address of `mlx_lm server` with a model, on this machine; its output goes to the file `log`."""
    with started(log, "mlx_lm", "server", "--model", str(model), *options, "--port") as url:
        yield f"{url}/v1"


@contextmanager
def s3_server(bucket: str, log: Path, host: str = "127.0.0.1"):
    """The address of a server that speaks S3's protocol and has one empty bucket."""
    with started(log, "moto.server", "--host", host, "--port", host=host) as url:
        urlopen(Request(f"{url}/{bucket}", method="PUT")).close()
        yield url


@contextmanager
def started(log: Path, *module: str, host: str = "127.0.0.1"):
    """The address on this machine of a server: a module that is run, with a free port as the last of its words."""
    with socket.socket() as free:
        free.bind((host, 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", *module, str(port)]
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out, env=ENVIRONMENT) as server:
        try:
            end = time.monotonic() + 300  # a busy machine takes its time to import the libraries of a model
            while socket.socket().connect_ex((host, port)):
                assert time.monotonic() < end and server.poll() is None, log.read_text()
                time.sleep(0.1)
            yield f"http://{host}:{port}"
        finally:
            server.kill()

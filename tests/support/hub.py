"""A stand-in of the Hugging Face Hub: what `hf upload` asks of it, and what it was given."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse

LARGE = ".safetensors"  # files that the Hub wants as large objects, not inside the commit


class Hub:
    """A server on this machine. files: the content of each file of each repository, {(kind, name): {path: bytes}}."""

    def __init__(self):
        self.files: dict[tuple[str, str], dict[str, bytes]] = {}
        self.objects: dict[str, bytes] = {}
        self.tokens: set[str | None] = set()
        self.unknown: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                hub.tokens.add(self.headers["Authorization"])
                self.answer(hub.post(urlparse(self.path).path.strip("/").split("/"), self.body()))

            def do_GET(self):
                self.answer(hub.get(self.path))

            def do_PUT(self):
                content = self.body()
                hub.objects[hashlib.sha256(content).hexdigest()] = content
                self.answer({})

            def body(self) -> bytes:
                if self.headers["Transfer-Encoding"] != "chunked":
                    return self.rfile.read(int(self.headers["Content-Length"] or 0))
                content = b""
                while size := int(self.rfile.readline(), 16):
                    content += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return content

            def answer(self, document: dict | None):
                text = json.dumps(document or {}).encode()
                self.send_response(200 if document is not None else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def get(self, path: str) -> dict | None:
        self.unknown.append(f"GET {path}")
        return None

    def post(self, path: list[str], body: bytes) -> dict | None:
        """The answer to a request; None if the Hub has no such address."""
        match path:
            case ["api", "repos", "create"]:
                wanted = json.loads(body)
                kind, name = wanted.get("type", "model"), "/".join(filter(None, (wanted.get("organization"), wanted["name"])))
                self.files.setdefault((f"{kind}s", name), {})
                return {"url": f"{self.url}/{kind}s/{name}" if kind == "dataset" else f"{self.url}/{name}", "name": name}
            case ["api", "validate-yaml"]:
                return {"errors": [], "warnings": []}
            case ["api", kind, owner, name, "preupload", _]:
                wanted = json.loads(body)["files"]
                modes = {file["path"]: "lfs" if file["path"].endswith(LARGE) else "regular" for file in wanted}
                return {
                    "files": [
                        {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": None} for path, mode in modes.items()
                    ]
                }
            case [*_, "info", "lfs", "objects", "batch"]:
                objects = json.loads(body)["objects"]
                uploads = [own | {"actions": {"upload": {"href": f"{self.url}/objects/{own['oid']}"}}} for own in objects]
                return {"transfer": "basic", "objects": uploads}
            case ["api", kind, owner, name, "commit", _]:
                self.commit(self.files[kind, f"{owner}/{name}"], [json.loads(line) for line in body.splitlines()])
                return {"success": True, "commitOid": "0" * 40, "commitUrl": f"{self.url}/{owner}/{name}/commit/{'0' * 40}"}
        self.unknown.append(f"POST {'/'.join(path)}")
        return None

    def commit(self, files: dict[str, bytes], lines: list[dict]) -> None:
        for line in lines:
            own = line["value"]
            if line["key"] == "file":
                files[own["path"]] = base64.b64decode(own["content"])
            elif line["key"] == "lfsFile":
                files[own["path"]] = self.objects[own["oid"]]

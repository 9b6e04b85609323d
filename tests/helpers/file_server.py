"""A server of one file on this machine, and what publishes that file."""

import hashlib
import http.server
import threading

from tf_frcnn.checkpoints import Published

CONTENT = b"the content of a file" * 50
FILE = "weights-1234.pth"


class Server(http.server.ThreadingHTTPServer):
    """Serves one content under every name, and remembers what was asked for.

    Attributes:
        content: the bytes.
        length: what the answer says of their number; None for nothing.
        status: of the answers.
        silent: whether it does not answer.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked, self.ended = [], threading.Event()
        self.status, self.silent = 200, False
        self.serve(CONTENT)

    def serve(self, content, length=-1):
        self.content, self.length = content, len(content) if length == -1 else length

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if self.server.silent:
            self.server.ended.wait()
            return
        self.send_response(self.server.status)
        if self.server.length is not None:
            self.send_header("Content-Length", self.server.length)
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_):
        pass


def published_at(address, content=CONTENT, file=FILE, source="imagined"):
    digits = hashlib.sha256(content).hexdigest()[:8]
    return Published(source, file, f"{address}/models/{file}", digits, "", 0.1, "")

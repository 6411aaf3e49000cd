"""The instance metadata of a machine on AWS, as much of it as tells of a spot machine's end; by IMDSv2 alone.

python metadata.py ADDRESS PORT NOTICE    # NOTICE: a file, the notice as soon as it is there
"""

import http.server
import json
import secrets
import sys
import time
from pathlib import Path


def notice(seconds: float) -> str:
    """What AWS says of a machine that it takes in so many seconds."""
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    return json.dumps({"action": "terminate", "time": end})


def server_at(address: str, port: int, file: Path) -> http.server.ThreadingHTTPServer:
    """The service, which `serve_forever` lets answer."""
    tokens: set[str] = set()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            if self.path != "/latest/api/token" or "X-aws-ec2-metadata-token-ttl-seconds" not in self.headers:
                self._answer(400)
                return
            tokens.add(token := secrets.token_hex(16))
            self._answer(200, token)

        def do_GET(self) -> None:
            if self.headers.get("X-aws-ec2-metadata-token") not in tokens:
                self._answer(401)
            elif self.path == "/latest/meta-data/spot/instance-action" and file.exists():
                self._answer(200, file.read_text())
            else:
                self._answer(404)

        def _answer(self, status: int, text: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: object) -> None:
            pass

    return http.server.ThreadingHTTPServer((address, port), Handler)


if __name__ == "__main__":
    server_at(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])).serve_forever()

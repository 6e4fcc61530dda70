"""Runs the embedded default, for the scripts of this folder."""

import contextlib
import json
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid

PATIENCE = 60


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def call(method, url, body=None, user="ann", roles="", **headers):
    headers |= {"X-User": user, "X-Roles": roles, "X-Email": f"{user}@example.org"}
    headers["Idempotency-Key"] = str(uuid.uuid4())
    if body is not None:
        headers["Content-Type"] = "application/json"
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or "null")


def until_ready(url):
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return call("GET", f"{url}/health/ready")
        except (urllib.error.URLError, OSError):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


@contextlib.contextmanager
def running(program, **more):
    """Yields the addresses of commands and queries. `more` are settings."""
    commands, queries = free_port(), free_port()
    with tempfile.TemporaryDirectory() as data:
        settings = {
            "LISTEN": f"127.0.0.1:{commands}",
            "QUERY_LISTEN": f"127.0.0.1:{queries}",
            "DATA_DIR": data,
            **more,
        }
        process = subprocess.Popen([program], env=settings, stdout=subprocess.DEVNULL)
        try:
            addresses = [f"http://127.0.0.1:{port}" for port in (commands, queries)]
            for address in addresses:
                until_ready(address)
            yield addresses
        finally:
            process.terminate()
            process.wait(timeout=30)

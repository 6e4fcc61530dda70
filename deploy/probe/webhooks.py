"""Starts the embedded default, subscribes, reserves, and verifies each webhook with the library `standardwebhooks`."""

import http.server
import json
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

PATIENCE = 60
RECEIVED = queue.Queue()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        RECEIVED.put(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def call(method, url, body=None, user="ann", roles=""):
    headers = {"X-User": user, "X-Roles": roles, "Idempotency-Key": str(uuid.uuid4())}
    if body is not None:
        headers["Content-Type"] = "application/json"
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or "null")


def refuses(secret, headers, body):
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return True
    return False


def until_ready(url):
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return call("GET", f"{url}/health/ready")
        except (urllib.error.URLError, OSError):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def check(commands, queries, endpoint):
    made = call("POST", f"{queries}/v1/subscriptions", {"url": endpoint})
    subscription = f"{queries}/v1/subscriptions/{made['subscription']}"
    room = {"name": f"Room {uuid.uuid4()}", "kind": "meeting", "capacity": 8, "timeZone": "Europe/Lisbon"}
    room = call("POST", f"{commands}/v1/rooms", room, roles="admin")["room"]
    tomorrow = time.strftime("%Y-%m-%dT09:%M:00Z", time.gmtime(time.time() + 86_400))
    later = tomorrow.replace("T09", "T11")
    stay = {"from": tomorrow, "to": later, "people": 3, "title": "Planning"}
    call("POST", f"{commands}/v1/rooms/{room}/reservations", stay)

    headers, body = RECEIVED.get(timeout=PATIENCE)
    message = Webhook(made["secret"]).verify(body, headers)
    assert message["type"] == "reservations.reservation-made.v1", message
    assert message["data"]["room"] == room, message
    assert b"Planning" not in body and b"ann" not in body, body
    assert refuses(made["secret"], headers, body + b" ")
    assert refuses(made["secret"], {**headers, "webhook-id": "another"}, body)
    assert refuses(made["secret"], {**headers, "webhook-timestamp": "1700000000"}, body)

    rotated = call("POST", f"{subscription}/rotate-secret")
    assert refuses(rotated["secret"], headers, body)
    call("POST", f"{subscription}/test")
    headers, body = RECEIVED.get(timeout=PATIENCE)
    for secret in (made["secret"], rotated["secret"]):
        assert Webhook(secret).verify(body, headers)["type"] == "notifications.test"


def main(program):
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    commands, queries = free_port(), free_port()
    with tempfile.TemporaryDirectory() as data:
        settings = {
            "LISTEN": f"127.0.0.1:{commands}",
            "QUERY_LISTEN": f"127.0.0.1:{queries}",
            "DATA_DIR": data,
        }
        process = subprocess.Popen([program], env=settings, stdout=subprocess.DEVNULL)
        try:
            for port in (commands, queries):
                until_ready(f"http://127.0.0.1:{port}")
            endpoint = f"http://127.0.0.1:{receiver.server_port}/hook"
            check(f"http://127.0.0.1:{commands}", f"http://127.0.0.1:{queries}", endpoint)
        finally:
            process.terminate()
            process.wait(timeout=30)
    print("webhooks: the public library accepts each message, and refuses what was changed")


if __name__ == "__main__":
    main(sys.argv[1])

"""Starts the embedded default, subscribes, reserves, and verifies each webhook with the library `standardwebhooks`."""

import http.server
import queue
import sys
import threading
import time
import uuid

from embedded import PATIENCE, call, running
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

RECEIVED = queue.Queue()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        RECEIVED.put(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def refuses(secret, headers, body):
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return True
    return False


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
    with running(program) as (commands, queries):
        check(commands, queries, f"http://127.0.0.1:{receiver.server_port}/hook")
    print("webhooks: the public library accepts each message, and refuses what was changed")


if __name__ == "__main__":
    main(sys.argv[1])

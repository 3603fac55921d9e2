"""What a client tells of its calls: one JSON line each, of the shape that go/said.go describes."""

import json
import sys
import threading

lock = threading.Lock()


def tell(name, kind, outcome, record, reset=None):
    line = {"id": name, "kind": kind, "outcome": outcome, "record": record}
    if reset:
        line["reset"] = reset
    with lock:
        print(json.dumps(line), flush=True)


def run(names, scenarios):
    """Does the scenarios in order; `hold` waits for a line on stdin."""
    for name in names:
        if name == "hold":
            sys.stdin.readline()
        else:
            scenarios[name]()


def payload(size):
    """Bytes that say where they stand."""
    return b"".join(b"%015d\n" % at for at in range(0, size, 16))[:size]

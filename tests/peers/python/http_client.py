"""The httpx client: http_client.py ADDRESS ID SCENARIO..., of any server with the paths of go/http_server.go."""

import sys

import httpx

from said import payload, run, tell

address, name, *scenarios = sys.argv[1:]
# One connection, HTTP/2 with prior knowledge; proxies of the environment are not asked.
client = httpx.Client(http1=False, http2=True, trust_env=False, timeout=60)
count = 0


def call(kind, method, prefix, content=b"", **headers):
    global count
    count += 1
    call_id = f"{name}-{count}"
    path = f"{prefix}{call_id}"
    headers = {"x-call-id": call_id, **headers}
    body = {"content": content} if content else {}
    with client.stream(method, f"http://{address}{path}", headers=headers, **body) as answer:
        received = sum(len(part) for part in answer.iter_raw())
        port = answer.extensions["network_stream"].get_extra_info("client_addr")[1]
    tell(call_id, kind, str(answer.status_code), {
        "protocol": "http", "method": method, "path": path, "url": f"http://{address}{path}", "http_version": "2",
        "stream_id": answer.extensions["stream_id"], "src": {"port": port}, "status_code": answer.status_code,
        "request": {"body_size": len(content), "headers": [[key, value] for key, value in headers.items()]},
        "response": {
            "body_size": received,
            "headers": [[key, answer.headers[key]] for key in ("content-encoding",) if key in answer.headers],
        },
    })


def status():
    for code in (204, 304, 404, 503):
        call("status", "GET", f"/status/{code}/")
    call("status", "HEAD", "/size/1000/")


run(scenarios, {
    "get": lambda: call("get", "GET", "/size/1/"),
    "large": lambda: call("large", "GET", f"/size/{1 << 20}/"),
    "post": lambda: call("post", "POST", "/length/", payload(1000)),
    "upload": lambda: call("upload", "POST", "/length/", payload(1 << 20)),
    "status": status,
    "trailers": lambda: call("trailers", "GET", "/trailers/"),
    "gzip": lambda: call("gzip", "GET", "/gzip/20000/", **{"accept-encoding": "gzip"}),
    "hints": lambda: call("hints", "GET", "/hints/"),
})

// The Node peers of the live tests, with what Node brings. HTTP/2 in plain text, with prior knowledge.
//
//     peer.js server PORT                      the paths of ../go/http_server.go, and GET /push/ID, which pushes /pushed/ID
//     peer.js client ADDRESS ID SCENARIO...    calls any server with those paths, on one connection, in order; one JSON
//                                              line a call, of the shape that ../go/said.go describes
"use strict";

const http2 = require("node:http2");
const readline = require("node:readline");
const zlib = require("node:zlib");

// Bytes that say where they stand.
function payload(size) {
  let content = "";
  for (let at = 0; at < size; at += 16) content += String(at).padStart(15, "0") + "\n";
  return Buffer.from(content.slice(0, size));
}

// === The server ===

const places = {
  size: (stream, [size]) => answer(stream, { "content-length": size }, payload(Number(size))),
  length: (stream) => {
    let length = 0;
    stream.on("data", (part) => (length += part.length));
    stream.on("end", () => answer(stream, {}, String(length)));
  },
  status: (stream, [code]) => stream.respond({ ":status": Number(code) }, { endStream: true }),
  trailers: (stream) => {
    stream.respond({ ":status": 200, trailer: "x-end" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-end": "yes" }));
    stream.end(payload(1000));
  },
  gzip: (stream, [size]) => answer(stream, { "content-encoding": "gzip" }, zlib.gzipSync(payload(Number(size)))),
  hints: (stream) => {
    stream.additionalHeaders({ ":status": 103, link: "</style.css>; rel=preload" });
    answer(stream, {}, payload(10));
  },
  wait: (stream) => begin(stream),
  abort: (stream) => {
    begin(stream);
    // What was written is on its way before the reset.
    setTimeout(() => stream.destroy(new Error("abort")), 50);
  },
  push: (stream, [id]) => {
    const push = (error, pushed) => error || answer(pushed, {}, payload(500));
    if (stream.pushAllowed) stream.pushStream({ ":path": `/pushed/${id}`, "x-call-id": `pushed-${id}` }, push);
    answer(stream, {}, payload(100));
  },
};

function answer(stream, headers, content) {
  stream.respond({ ":status": 200, "content-type": "text/plain", ...headers });
  stream.end(content);
}

function begin(stream) {
  stream.respond({ ":status": 200 });
  stream.write(payload(1000));
}

function serve(port) {
  const server = http2.createServer();
  server.on("stream", (stream, headers) => {
    const [, place, ...rest] = headers[":path"].split("/");
    // A reset is the test's purpose.
    stream.on("error", () => {});
    if (headers[":method"] === "HEAD") stream.respond({ ":status": 200, "content-length": rest[0] });
    else if (places[place]) places[place](stream, rest);
    else stream.respond({ ":status": 404 }, { endStream: true });
  });
  server.listen(Number(port), "127.0.0.1");
}

// === The client ===

let session, base, name;
let count = 0;

function tell(id, kind, outcome, record, reset) {
  console.log(JSON.stringify({ id, kind, outcome, ...(reset && { reset }), record }));
}

// One call; resolves when its stream is closed. `enough` bytes of the answer are enough to cancel it.
function call(kind, method, prefix, { content = null, headers = {}, enough = Infinity } = {}) {
  const id = `${name}-${++count}`;
  const path = prefix + id;
  headers = { "x-call-id": id, ...headers };
  const stream = session.request({ ":method": method, ":path": path, ...headers }, { endStream: content === null });
  if (content !== null) stream.end(content);
  let status = null;
  let size = 0;
  let trailers = {};
  stream.on("response", (answer) => (status = answer[":status"]));
  stream.on("trailers", (got) => (trailers = got));
  stream.on("data", (part) => {
    size += part.length;
    if (size >= enough) stream.close(http2.constants.NGHTTP2_CANCEL);
  });
  stream.on("error", () => {});
  return new Promise((resolve) => {
    stream.on("close", () => {
      const code = stream.rstCode;
      const reset = { 0: undefined, 2: "INTERNAL_ERROR", 8: "CANCEL" }[code] ?? (code ? String(code) : undefined);
      const response = { body_size: reset ? null : size };
      if ("x-end" in trailers) response.trailers = [["x-end", trailers["x-end"]]];
      tell(id, kind, reset ?? String(status), {
        protocol: "http", method, path, url: base + path, http_version: "2", stream_id: stream.id,
        src: { port: session.socket.localPort }, status_code: status,
        request: { body_size: content?.length ?? 0, headers: Object.entries(headers) }, response,
      }, reset);
      resolve(id);
    });
  });
}

const scenarios = {
  get: () => call("get", "GET", "/size/1/"),
  large: () => call("large", "GET", `/size/${1 << 20}/`),
  post: () => call("post", "POST", "/length/", { content: payload(1000) }),
  upload: () => call("upload", "POST", "/length/", { content: payload(1 << 20) }),
  status: async () => {
    for (const code of [204, 304, 404, 503]) await call("status", "GET", `/status/${code}/`);
    await call("status", "HEAD", "/size/1000/");
  },
  trailers: () => call("trailers", "GET", "/trailers/"),
  gzip: () => call("gzip", "GET", "/gzip/20000/", { headers: { "accept-encoding": "gzip" } }),
  hints: () => call("hints", "GET", "/hints/"),
  cancel: () => call("cancel", "GET", "/wait/", { enough: 1000 }),
  abort: () => call("abort", "GET", "/abort/"),
  many: () => Promise.all(Array.from({ length: 100 }, (_, at) => call("many", "GET", `/size/${at * 17}/`))),
  push: async () => {
    const pushed = new Promise((resolve) => session.once("stream", (stream, request) => {
      let size = 0;
      let status;
      stream.on("push", (headers) => (status = headers[":status"]));
      stream.on("data", (part) => (size += part.length));
      stream.on("close", () => resolve([stream.id, request, status, size]));
    }));
    await call("push", "GET", "/push/");
    const [stream_id, request, status_code, size] = await pushed;
    const path = request[":path"];
    tell(request["x-call-id"], "pushed", String(status_code), {
      protocol: "http", method: "GET", path, url: base + path, http_version: "2", stream_id, status_code,
      src: { port: session.socket.localPort },
      request: { body_size: 0, headers: [["x-call-id", request["x-call-id"]]] }, response: { body_size: size },
    });
  },
};

async function run(address, id, names) {
  base = `http://${address}`;
  name = id;
  session = http2.connect(base);
  const lines = readline.createInterface({ input: process.stdin });
  const line = lines[Symbol.asyncIterator]();
  for (const scenario of names) {
    // `hold` waits for a line on stdin, or its end.
    if (scenario === "hold") await line.next();
    else await scenarios[scenario]();
  }
  lines.close();
  session.close();
}

const [command, ...args] = process.argv.slice(2);
if (command === "server") serve(args[0]);
else run(args[0], args[1], args.slice(2));

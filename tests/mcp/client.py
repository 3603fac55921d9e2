"""The official MCP client against an agent that holds 2,500 known calls. Exits with a message at the first wrong answer.

    client.py http URL TOKEN MODE
    client.py stdio MODE COMMAND [ARGS...]
"""

import asyncio
import json
import sys
from contextlib import asynccontextmanager

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

CALLS = 2500
ANSWER_MAX = 24 * 1024


def check(condition, *what):
    if not condition:
        sys.exit("wrong: " + " ".join(str(part)[:2000] for part in what))


def size(result):
    return len(result.model_dump_json(by_alias=True, exclude_none=True).encode())


async def good(client, tool, **arguments):
    result = await client.call_tool(tool, arguments)
    text = "".join(part.text for part in result.content)
    check(not result.is_error, tool, arguments, text)
    check(size(result) <= ANSWER_MAX, tool, arguments, size(result))
    check(text.strip(), tool, "has no text")
    coverage = result.structured_content["coverage"]
    check(coverage["nodes"] == ["edge"] and coverage["records"] > 0, tool, coverage)
    check("coverage: " in text, text)
    return result.structured_content, text


async def bad(client, tool, *named, **arguments):
    result = await client.call_tool(tool, arguments)
    text = "".join(part.text for part in result.content)
    check(result.is_error, tool, arguments, "was accepted:", text)
    for name in named:
        check(name in text, tool, arguments, "does not name", name, ":", text)


async def walk(client, **arguments):
    """All pages of a list."""
    ids, pages, cursor = [], 0, None
    while True:
        more = {"cursor": cursor} if cursor else {}
        answer, text = await good(client, "list_api_calls", **arguments, **more)
        check(answer["calls"], "an empty page", arguments)
        for call in answer["calls"]:
            check(call["id"] in text, "the text lacks", call["id"])
        ids += [call["id"] for call in answer["calls"]]
        pages += 1
        cursor = answer["next_cursor"]
        check((cursor is not None) == answer["truncated"], answer)
        if cursor is None:
            return ids, pages
        check(cursor in text, "the text does not say how to go on")


async def ask(client):
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    check(set(tools) == {"list_api_calls", "get_api_call", "get_api_stats", "get_capture_status"}, tools)
    for tool in tools.values():
        check(tool.annotations.read_only_hint and tool.output_schema and len(tool.description) > 200, tool)
        check(tool.input_schema["type"] == "object" and tool.input_schema.get("additionalProperties") is False, tool)
    check(sum(len(tool.model_dump_json()) for tool in tools.values()) < 20_000, "the tools' definitions are long")

    ids, pages = await walk(client, limit=1000)
    check(len(ids) == CALLS and len(set(ids)) == CALLS and pages > 20, len(ids), pages)
    some, _ = await walk(client, limit=7, kfl="http && status_code == 404")
    check(len(some) == CALLS // 10 and set(some) <= set(ids), len(some))
    raw, _ = await walk(client, kfl='path == "/large"', format="raw")
    check(len(raw) == 4, raw)
    await walk(client, limit=100, format="full", kfl="status_code == 500")

    answer, _ = await good(client, "list_api_calls", limit="3")
    check(len(answer["calls"]) == 3 and answer["total"] == CALLS, answer["total"])
    call = answer["calls"][0]
    check(call["proto"] == "http" and call["method"] in ("GET", "POST") and isinstance(call["ts"], int), call)
    check(answer["calls"][0]["ts"] >= answer["calls"][1]["ts"] >= answer["calls"][2]["ts"], "newest first")
    later, _ = await good(client, "list_api_calls", limit=1000, start=call["ts"])
    check(call["id"] in [call["id"] for call in later["calls"]] and len(later["calls"]) <= 10, later)
    grouped, text = await good(client, "list_api_calls", group_by="status_code")
    check({group["key"]["status_code"]: group["count"] for group in grouped["groups"]}["404"] == CALLS // 10, grouped)
    cut, text = await good(client, "list_api_calls", limit=5000)
    check("1000" in " ".join(cut["notes"]), cut["notes"])
    none, text = await good(client, "list_api_calls", kfl='path == "/nowhere"')
    check(none["calls"] == [] and none["total"] == 0 and none["notes"], none)

    whole, text = await good(client, "get_api_call", id=call["id"], include_l4=True)
    check(whole["call"]["id"] == call["id"] and whole["call"]["request"]["headers"] and whole["l4"]["src"], whole)
    without, _ = await good(client, "get_api_call", id=call["id"], include_payload=False)
    check("body" not in without["call"]["request"] or without["call"]["request"]["body"] is None, without)
    large = (await good(client, "list_api_calls", kfl='path == "/large"', limit=1))[0]["calls"][0]["id"]
    body, cursor, parts = "", None, 0
    while parts == 0 or cursor:
        part, text = await good(client, "get_api_call", id=large, **({"cursor": cursor} if cursor else {}))
        body += part["call"]["response"]["body"]
        cursor, parts = part["next_cursor"], parts + 1
        check(not cursor or "cut here" in text, text[-500:])
    check(body == "".join(f'{{"line": {i}}}\n' for i in range(4000)), "the body in parts", len(body), parts)

    stats, text = await good(client, "get_api_stats", group_by="method,status_code")
    check(stats["total"]["count"] == CALLS and stats["total"]["p50"] > 0, stats["total"])
    check(sum(group["count"] for group in stats["groups"]) == CALLS, stats["groups"])
    many, _ = await good(client, "get_api_stats", group_by=["path", "src.port"], limit=200)
    check(many["other_groups"] > 0, many["other_groups"])
    status, text = await good(client, "get_capture_status")
    check(status["node"] == "edge" and status["store"]["rows"] >= CALLS and status["redaction"] is True, status)

    await bad(client, "list_api_calls", "status_code", kfl="status_cod == 200")
    await bad(client, "list_api_calls", "kfl", kfl="status_code ==")
    await bad(client, "list_api_calls", "pods", "kfl", pods="x")
    await bad(client, "list_api_calls", "limit", limit=0)
    await bad(client, "list_api_calls", "limit", limit=-1)
    await bad(client, "list_api_calls", "cursor", cursor="x")
    await bad(client, "list_api_calls", "cursor", cursor=cut["next_cursor"], kfl="http")
    await bad(client, "list_api_calls", "milliseconds", start=1_700_000_000)
    await bad(client, "list_api_calls", "before", start=1_800_000_000_000, end=1_700_000_000_000)
    await bad(client, "list_api_calls", "compact", format="short")
    await bad(client, "list_api_calls", "statuscode", group_by="statuscode")
    await bad(client, "get_api_call", "packets", id=call["id"], include_pcap=True)
    await bad(client, "get_api_call", "list_api_calls", id="99999999-1")
    await bad(client, "get_api_call", "id", id="nonsense")
    await bad(client, "get_api_call", "id")
    await bad(client, "get_api_call", "other", id=call["id"], node_id="other")
    await bad(client, "get_api_call", "max_payload_size", id=call["id"], max_payload_size=10**12)
    await bad(client, "get_api_stats", "limit", limit=100000)
    await bad(client, "get_api_stats", "namespace", ns='x" || true || "')
    await bad(client, "get_capture_status", "verbose", verbose=True)
    try:
        await client.call_tool("delete_everything", {})
        check(False, "an unknown tool was called")
    except MCPError as error:
        check("list_api_calls" in str(error), error)

    resources = (await client.list_resources()).resources
    check([str(resource.uri) for resource in resources] == ["tapwire://status"], resources)
    contents = (await client.read_resource("tapwire://status")).contents
    check(json.loads(contents[0].text)["node"] == "edge", contents)
    try:
        await client.read_resource("tapwire://other")
        check(False, "an unknown resource was read")
    except MCPError as error:
        check("tapwire://status" in str(error), error)
    prompts = (await client.list_prompts()).prompts
    check([prompt.name for prompt in prompts] == ["analyze_traffic"], prompts)
    arguments = {"kfl": "dst.port == 8080", "minutes": "7", "focus": "errors"}
    prompt = (await client.get_prompt("analyze_traffic", arguments)).messages[0].content.text
    check("dst.port == 8080" in prompt and "7 minutes" in prompt and "status_code >= 500" in prompt, prompt)
    try:
        await client.get_prompt("analyze_traffic", {"kfl": "nonsense ==", "minutes": "7"})
        check(False, "a wrong filter was accepted")
    except MCPError as error:
        check("kfl" in str(error), error)

    # At once: answers find their questions.
    async def one(limit):
        answer, _ = await good(client, "list_api_calls", limit=limit)
        check(len(answer["calls"]) == limit, limit, len(answer["calls"]))

    await asyncio.gather(*(one(limit) for limit in range(1, 13)))


@asynccontextmanager
async def by_http(url, token, mode):
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
            yield client


async def main():
    if sys.argv[1] == "http":
        connection = by_http(*sys.argv[2:5])
    else:
        mode, command, *args = sys.argv[2:]
        connection = Client(StdioServerParameters(command=command, args=args), mode=mode)
    async with connection as client:
        await ask(client)
        print(client.session.protocol_version)


asyncio.run(main())

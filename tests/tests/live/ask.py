"""An assistant, by the official MCP client: asks an agent everything and prints the answers as one JSON object.

    ask.py http URL TOKEN_FILE KFL [MODE]
    ask.py stdio KFL MODE COMMAND [ARGS...]

MODE is the client's: auto (newest protocol first) or legacy (handshake of 2025 and before).
"""

import asyncio
import json
import sys
from contextlib import asynccontextmanager

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client


def plain(result):
    """A tool's answer: the typed result, and the text beside it."""
    return {
        "error": bool(result.is_error),
        "structured": result.structured_content,
        "text": "".join(part.text for part in result.content if part.type == "text"),
    }


async def ask(client, kfl):
    tools = (await client.list_tools()).tools
    answers = {
        "protocol": client.session.protocol_version,
        "server": client.session.server_info.name if client.session.server_info else None,
        "tools": {tool.name: {"input": tool.input_schema, "output": tool.output_schema, "description": tool.description}
                  for tool in tools},
    }

    async def tool(name, **arguments):
        return plain(await client.call_tool(name, arguments))

    answers["calls"] = await tool("list_api_calls", kfl=kfl, limit=100)
    answers["paged"], cursor = [], {}
    while cursor is not None and len(answers["paged"]) < 100:
        page = (await tool("list_api_calls", kfl=kfl, limit=2, **cursor))["structured"]
        answers["paged"] += [call["id"] for call in page["calls"]]
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else None
    answers["full"] = await tool("list_api_calls", kfl=kfl, limit=3, format="full")
    found = (answers["calls"]["structured"] or {}).get("calls") or []
    if found:
        answers["call"] = await tool("get_api_call", id=found[0]["id"], include_payload=True)
    answers["stats"] = await tool("get_api_stats", kfl=kfl, group_by="status_code")
    answers["status"] = await tool("get_capture_status")
    answers["empty"] = await tool("list_api_calls", kfl='http && path == "/no-such-path-anywhere"')
    answers["wrong"] = await tool("list_api_calls", kfl="status_cod == 200")
    answers["resources"] = [str(resource.uri) for resource in (await client.list_resources()).resources]
    if answers["resources"]:
        contents = (await client.read_resource(answers["resources"][0])).contents
        answers["resource"] = "".join(content.text for content in contents)
    answers["prompts"] = [prompt.name for prompt in (await client.list_prompts()).prompts]
    if answers["prompts"]:
        prompt = await client.get_prompt(answers["prompts"][0], {})
        answers["prompt"] = "".join(message.content.text for message in prompt.messages)
    return answers


@asynccontextmanager
async def by_http(url, token, mode):
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
            yield client


async def main():
    if sys.argv[1] == "http":
        url, token_file, kfl = sys.argv[2:5]
        connection = by_http(url, open(token_file).read().strip(), sys.argv[5] if len(sys.argv) > 5 else "auto")
    else:
        kfl, mode, command, *args = sys.argv[2:]
        connection = Client(StdioServerParameters(command=command, args=args), mode=mode)
    async with connection as client:
        print(json.dumps(await ask(client, kfl)))


asyncio.run(main())

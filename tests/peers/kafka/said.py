"""The calls that a client's own log tells: said.py KIND < LOG, where KIND is java, kcat, go or raw.

It prints a line for each request in the order of the log:
{"client_id", "api_key_name", "api_version", "correlation_id", "topics", "error_codes", "answered", "record_bytes"}.
Names are those of Kafka's ApiKeys; what counts by number has `api_key`, too. `topics` are those of the request and of the answer, sorted, null where the log does
not have them. `record_bytes` is the size of all record batches in both, null likewise.
`error_codes` are those of the answer that are not 0, each once, in its order; null where the log does not have them or
no answer was read. `answered` is whether it was, which at the end of a client may be fewer than were sent.

By client:
- java: two lines each of NetworkClient. Topics told by id are named by what other lines say of it. Correlation ids are unique within a client, but for those of a connection that
  authenticates: SaslClientAuthenticator writes requests of its own, logs its states only, and takes the same reserved
  ids each time.
- kcat: two lines each of `-d protocol`. Every connection counts its own correlation ids.
- go: the socket has the header, the hook has the sizes (`written` and `read`, with the length before the message) and
  is matched by client and key only, so both come as lines of their own, {"sizes": …} for the hook's.
- raw: as it is.
"""

import json
import re
import sys

KEYS = {0: "PRODUCE", 3: "METADATA", 17: "SASL_HANDSHAKE", 18: "API_VERSIONS", 19: "CREATE_TOPICS"}
# Where a library's name is not ApiKeys' in another case.
NAMES = {"API_VERSION": "API_VERSIONS"}


def snake(name):
    """FindCoordinator, SASLHandshake."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).upper()
    return NAMES.get(name, name)


def call(client_id, name, version, correlation_id, topics=None, answered=False, errors=None):
    return {"client_id": client_id, "api_key_name": name, "api_version": version, "correlation_id": correlation_id,
            "topics": topics, "error_codes": errors, "answered": answered, "record_bytes": None}


JAVA = re.compile(r"(Sending|Received) (\w+) (?:request|response from node \S+ for request) with header RequestHeader"
                  r"\(apiKey=\w+, apiVersion=(\d+), clientId=(\S+), correlationId=(\d+), headerVersion=\d\)(.*)")
# [kGvPiWf_Rtu5J6hBVfCcMA:orders-0=131,…] with the id as of version 13
JAVA_PRODUCED = re.compile(r"(?<=[\[,])(?:[\w-]{22}:)?([\w.-]+)-\d+=(\d+)")
JAVA_FETCHED = re.compile(r"records=MemoryRecords\(size=(\d+),")
# FetchTopic(topic='…', …), CreatableTopic(name='…', …), MetadataRequestTopic(topicId=…, name='…')
JAVA_TOPIC = re.compile(r"\w*Topics?(?:Request|State)?\((?:topicId=[\w-]+, )?(?:name|topic)='([^']+)'")
# FetchableTopicResponse(topic='', …), CreatableTopicResult(name='…', …), MetadataResponseTopic(errorCode=0, name='…', …)
JAVA_TOLD = re.compile(r"\w*Topic(?!Config)\w*\((?:errorCode=-?\d+, )?(?:topicId=[\w-]+, )?(?:name|topic)='([^']+)'")
JAVA_TOPIC_ID = re.compile(r"\btopicId=([\w-]{22})")
JAVA_NAMED = re.compile(r"(?:name|topic)='([^']+)', topicId=([\w-]{22})|topicId=([\w-]{22}), (?:name|topic)='([^']+)'")
NO_TOPIC_ID = "A" * 22
JAVA_SUBSCRIBED = re.compile(r"subscribedTopicNames=\[([^\]]+)\]")
JAVA_RESOURCE = re.compile(r"resourceType=2, resourceName='([^']*)'")
JAVA_ERROR = re.compile(r"\berrorCode=(-?\d+)")
# SaslClientAuthenticator, whose ids begin at MIN_RESERVED_CORRELATION_ID: what each state follows on, and the versions
# that 4.1 uses.
JAVA_SASL = re.compile(r"clientId=([^,\]]+).*(?:Set SASL client state to (\w+)|mechs=\[([\w-]+)\])")
SASL_FIRST_ID = 2**31 - 8
SASL_SENT = {"RECEIVE_APIVERSIONS_RESPONSE": [("API_VERSIONS", 0)], "RECEIVE_HANDSHAKE_RESPONSE": [("SASL_HANDSHAKE", 1)]}
SASL_TOKENS = {"PLAIN": 1, "SCRAM-SHA-256": 2}


def java(lines):
    calls, authenticating, mechanisms, names, ids = {}, {}, {}, {}, {}
    for line in lines:
        if found := JAVA_SASL.search(line):
            client_id, state, mechanism = found.groups()
            if mechanism:
                mechanisms[client_id] = mechanism
                continue
            sent = SASL_SENT.get(state, [])
            if state == "SEND_APIVERSIONS_REQUEST":
                authenticating[client_id] = SASL_FIRST_ID
            elif state == "INTERMEDIATE":
                sent = [("SASL_AUTHENTICATE", 2)] * SASL_TOKENS[mechanisms[client_id]]
            for name, version in sent:
                calls[len(calls)] = call(client_id, name, version, authenticating[client_id], [], answered=True)
                authenticating[client_id] += 1
            continue
        found = JAVA.search(line)
        if not found:
            continue
        way, name, version, client_id, correlation_id, data = found.groups()
        key = client_id, correlation_id
        for before, behind, ahead, after in JAVA_NAMED.findall(data):
            names[behind or ahead] = before or after
        ids.setdefault(key, set()).update(JAVA_TOPIC_ID.findall(data))
        if way == "Sending":
            produced = JAVA_PRODUCED.findall(data)
            topics = {*JAVA_TOPIC.findall(data), *(topic for topic, _ in produced), *JAVA_RESOURCE.findall(data)}
            for subscribed in JAVA_SUBSCRIBED.findall(data):
                topics.update(subscribed.split(", "))
            calls[key] = call(client_id, name, int(version), int(correlation_id), topics)
            calls[key]["record_bytes"] = sum(int(size) for _, size in produced)
        else:
            calls[key]["topics"].update(JAVA_TOLD.findall(data))
            calls[key]["record_bytes"] += sum(map(int, JAVA_FETCHED.findall(data)))
            errors = [int(code) for code in JAVA_ERROR.findall(data)]
            calls[key].update(answered=True, error_codes=list(dict.fromkeys(code for code in errors if code)))
    for key, told in ids.items():
        calls[key]["topics"].update(names[each] for each in told - {NO_TOPIC_ID})
    for each in calls.values():
        each["topics"] = sorted(each["topics"])
    return calls.values()


KCAT = re.compile(r"\|(?:SEND|RECV)\|(.+)#(?:producer|consumer)-\d+\| \[thrd:(.*?)\]: .*: "
                  r"(Sent|Received) (\w+)(?:Request|Response) \(v(\d+), .*CorrId (\d+)")


def kcat(lines):
    calls = {}
    for line in lines:
        found = KCAT.search(line)
        if not found:
            continue
        client_id, thread, way, name, version, correlation_id = found.groups()
        key = client_id, thread, correlation_id
        if way == "Sent":
            calls.setdefault(key, []).append(call(client_id, snake(name), int(version), int(correlation_id)))
        else:
            # A client with the same id that came later counts from one again.
            calls[key][-1]["answered"] = True
    return (each for same in calls.values() for each in same)


def go(lines):
    for line in map(json.loads, lines):
        if wrote := line.get("wrote"):
            said = call(wrote["client_id"], snake(wrote["api_key_name"]), wrote["api_version"],
                        wrote["correlation_id"], answered=None)
            yield said | {"api_key": wrote["api_key"]}
        elif line.get("call"):
            yield {"sizes": line["call"]}


def raw(lines):
    for line in map(json.loads, lines):
        if "api_key" in line:
            code = line["error_code"]
            errors = None if code is None else [code] if code else []
            said = call(line["client_id"], KEYS[line["api_key"]], line["api_version"], line["correlation_id"],
                        line["topics"], line["answered"], errors)
            yield said | {"api_key": line["api_key"]}


for each in {"java": java, "kcat": kcat, "go": go, "raw": raw}[sys.argv[1]](sys.stdin):
    print(json.dumps(each))

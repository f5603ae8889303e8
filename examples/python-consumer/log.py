"""A Tidings log on NATS, by docs/wire-format.md and docs/nats.md. Knows nothing of tools."""

import asyncio
import hashlib
import json
import re
from datetime import datetime, timedelta, timezone
from urllib.parse import quote, urlsplit
from uuid import uuid4

import nats
from nats.errors import TimeoutError as Unanswered
from nats.js.api import ConsumerConfig
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

INLINE = 8 * 1024
ACK_WAIT = 10
# Error codes of the server.
EXISTS = (10071, 10164)
PASSING = (10008, 10158)
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TASK = re.compile(rf"({UUID.pattern}\.[0-9a-z]{{10}}):(\d{{7}}):")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
TEXTS = {"id", "source", "type", "time", "tenant", "correlationid"}
OTHER_TEXTS = {"user", "causationid", "target", "replyto", "deadline", "traceparent", "replay", "dataref"}


def token(name):
    """A name as one token of a subject, and as the name of a consumer."""
    if name is None:
        return "-"
    return "%2D" if name == "-" else re.sub(rb"[^A-Za-z0-9_-]", lambda m: b"%%%02X" % m[0][0], name.encode()).decode()


def msg_id(id):
    return id if re.fullmatch(r"[!-$&-~]+", id) else quote(id, safe="!'()*-._~")


def event(cause, **attributes):
    """An event that descends from another one."""
    kept = ("tenant", "user", "correlationid", "hops", "traceparent", "replay")
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    inherited = {name: cause[name] for name in kept if name in cause}
    return {"specversion": "1.0", "time": now, "causationid": cause["id"], **inherited, **attributes}


def time_of(text):
    seconds, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}+00:00") + timedelta(seconds=float(f"0.{fraction or 0}"))


def checked(body):
    """The event of a message. Clients may have published anything. @raises ValueError: it is not an event"""
    event = json.loads(body)
    if not isinstance(event, dict):
        raise ValueError("an event is a JSON object")
    for name in TEXTS | (OTHER_TEXTS & event.keys()):
        if not isinstance(event.get(name), str):
            raise ValueError(f"{name} must be text")
        event[name].encode()  # fails for half of a surrogate pair
    if not UUID.fullmatch(event["correlationid"]) or type(event.get("hops")) is not int:
        raise ValueError("correlationid must be a UUID, hops an integer")
    if "deadline" in event:
        if not TIME.fullmatch(event["deadline"]):
            raise ValueError("deadline must be a time in UTC")
        time_of(event["deadline"])
    return event


class Log:
    @classmethod
    async def open(cls, url):
        """`nats://HOST:PORT/LOG`, the form of TIDINGS_BUS, without options. Waits for the process that creates the log."""
        parts = urlsplit(url)
        log = cls()
        log.name = parts.path.strip("/") or "tidings"
        log.nc = await nats.connect(f"{parts.scheme}://{parts.netloc}", max_reconnect_attempts=-1)
        log.js = log.nc.jetstream()
        while True:
            try:
                state = await log.js.stream_info(f"{log.name}_state")
                partitions = int((state.config.metadata or {}).get("tidings-partitions", 1))
                log.streams = [f"{log.name}_{n}" for n in range(partitions)] if partitions > 1 else [log.name]
                infos = [await log.js.stream_info(stream) for stream in log.streams]
                log.is_replicated = infos[0].config.num_replicas > 1
                return log
            except NotFoundError:
                await asyncio.sleep(1)

    def stream_of(self, shard):
        return self.streams[int(shard) % len(self.streams)]

    async def publish(self, event, shard):
        """Returns when the event is stored. False: the server knew its id."""
        data = json.dumps(event["data"], allow_nan=False).encode()
        if len(data) > INLINE:
            event = {**event, "data": None, "dataref": await self.put_blob(event["tenant"], data)}
        subject = f"{self.name}.e.{shard}.{token(event.get('target'))}.{event['type']}"
        ack = await self.store(subject, json.dumps(event).encode(), {"Nats-Msg-Id": msg_id(event["id"])})
        return not ack.duplicate

    async def store(self, subject, body, headers):
        """Retries after a lost answer: what is stored has an id, or is harmless twice."""
        for attempt in range(10):
            try:
                return await self.js.publish(subject, body, headers=headers)
            except (Unanswered, NoStreamResponseError):
                await asyncio.sleep(min(2**attempt / 10, 5))
        raise Unanswered

    async def create(self, subject, body, headers):
        """Stores a document if there is none. False: there is one, by another client."""
        mark = str(uuid4())
        try:
            fence = {"Nats-Expected-Last-Subject-Sequence": "0", "Tidings-By": mark}
            await self.store(subject, body, {**headers, **fence})
            return True
        except APIError as refused:
            if refused.err_code not in EXISTS:
                raise
        # It may be this one, stored before an answer was lost.
        there = await self.js.get_last_msg(f"{self.name}_state", subject)
        return (there.headers or {}).get("Tidings-By") == mark

    async def claim(self, event, shard):
        """Whether the call may start. The document decides; the event is for readers of the log."""
        subject = f"{self.name}.s.claim.{token(event['id'])}"
        try:
            await self.js.get_last_msg(f"{self.name}_state", subject)
            return False
        except NotFoundError:
            await self.publish(event, shard)
        return await self.create(subject, b"", {"Nats-TTL": "2160h"})

    async def knows(self, id, shard):
        """Whether the id was stored in the last two minutes: the server checks it before it refuses what cannot be stored."""
        never = {"Nats-Expected-Last-Msg-Id": "-"}
        if self.is_replicated:
            never = {"Nats-Expected-Last-Sequence": str(2**53 - 1)}
        try:
            ack = await self.store(f"{self.name}.e.{shard}.-.lookup", b"", {"Nats-Msg-Id": msg_id(id), **never})
            return bool(ack.duplicate)
        except APIError as refused:
            if refused.err_code in PASSING:
                raise
            return False

    async def is_settled(self, request, shard):
        """Whether it was answered or cancelled. May say no if that is long ago: a second answer has no effect."""
        call = request["id"]
        if await self.knows(f"{call}:result", shard) or await self.knows(f"{call}:cancel", shard):
            return True
        # If no task waits for the answer, the end of the task says nothing.
        task = TASK.match(call) if "replyto" in request else None
        if not task:
            return False
        try:
            newest = await self.js.get_last_msg(self.stream_of(shard), f"{self.name}.t.{shard}.{task[1]}")
        except NotFoundError:
            return False
        headers = newest.headers or {}
        return "Tidings-End" in headers and int(headers["Tidings-Version"]) > int(task[2])

    async def data(self, event):
        """The data of an event, inline or in a blob."""
        if "dataref" not in event:
            return event.get("data")
        digest = event["dataref"].removeprefix("sha256-")
        place = f"{self.name}.b.{token(event['tenant'])}.{digest}"
        chunks = [await self.js.get_last_msg(f"{self.name}_blobs", f"{place}.0")]
        for i in range(1, int(chunks[0].headers["Tidings-Chunks"])):
            chunks.append(await self.js.get_last_msg(f"{self.name}_blobs", f"{place}.{i}"))
        data = b"".join(chunk.data for chunk in chunks)
        if hashlib.sha256(data).hexdigest() != digest:
            raise ValueError(f"{event['dataref']} is not complete")
        return json.loads(data)

    async def put_blob(self, tenant, data):
        digest = hashlib.sha256(data).hexdigest()
        size = min(512 * 1024, self.nc.max_payload // 2)
        chunks = [data[i : i + size] for i in range(0, len(data), size)]
        # The first one last: it completes the blob.
        for i, chunk in reversed(list(enumerate(chunks))):
            subject = f"{self.name}.b.{token(tenant)}.{digest}.{i}"
            await self.store(subject, chunk, {"Tidings-Chunks": str(len(chunks))})
        return f"sha256-{digest}"

    async def paused(self):
        """Keys such as `paused/tool/NAME`."""
        try:
            return set(json.loads((await self.js.get_last_msg(f"{self.name}_state", f"{self.name}.s.doc.paused")).data))
        except NotFoundError:
            return set()

    async def join(self, group, types, target=None):
        """Creates the shared group if it does not exist: its document, then its consumers. Returns a pull subscription for each partition."""
        clause = {"types": types, **({"targets": [target]} if target else {})}
        document = json.dumps({"group": group, "mode": "shared", "filter": [clause], "start": 0}).encode()
        subject = f"{self.name}.s.group.{token(group)}"
        if not await self.create(subject, document, {}) and len(self.streams) > 1:
            stored = json.loads((await self.js.get_last_msg(f"{self.name}_state", subject)).data)
            if "limit" in stored:
                raise RuntimeError(f"{group} has a limit, which counts no deliveries of this worker on several partitions")
        for stream in self.streams:
            try:
                await self.js.consumer_info(stream, token(group))
            except NotFoundError:
                await self.js.add_consumer(
                    stream,
                    durable_name=token(group),
                    filter_subjects=[
                        *(f"{self.name}.e.*.{token(target) if target else '*'}.{type}" for type in types),
                        f"{self.name}.r.*.{token(group)}",
                    ],
                    ack_wait=ACK_WAIT,
                    max_ack_pending=20_000,
                    max_waiting=2_048,
                    max_deliver=-1,
                )
        return [await self.js.pull_subscribe_bind(token(group), stream) for stream in self.streams]


class Delivery:
    """One event that this worker handles, until it is acknowledged. @raises ValueError: the message is not an event"""

    def __init__(self, msg):
        self.msg = msg
        self.event = checked(msg.data)
        headers, meta = msg.headers or {}, msg.metadata
        self.shard = msg.subject.split(".")[2]
        self.attempt = int(headers.get("Tidings-Attempt", 1)) + meta.num_delivered - 1
        self.age = (datetime.now(timezone.utc) - meta.timestamp).total_seconds()

    async def keep(self):
        """Tells the server that it is being handled, so that no other worker gets it."""
        while True:
            await asyncio.sleep(ACK_WAIT / 3)
            await self.msg.in_progress()

"""Three tools and a reaction to events in Python. The numbers are the steps of "Tools" in docs/wire-format.md."""

import asyncio
import csv
import io
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import cycle
from urllib.request import Request, urlopen

from nats.errors import Error as NatsError, TimeoutError as Unanswered

from log import Delivery, Log, event, time_of

SLOTS = int(os.environ.get("SLOTS", "4"))
MAX_ATTEMPTS = 6
stopping = asyncio.Event()
paused = set()


@dataclass
class Tool:
    name: str
    fits: Callable[[object], bool]
    run: Callable[[dict, str], object]
    timeout: float = 60
    at_most_once: bool = False


class ToolError(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.error = {"code": code, "message": message}


def table_sum(input, key):
    rows = list(csv.DictReader(io.StringIO(input["csv"])))
    return {"rows": len(rows), "sum": sum(float(row[input["column"]]) for row in rows)}


def hook_post(input, key):
    headers = {"Content-Type": "application/json", "Idempotency-Key": key, "User-Agent": f"worker/{os.getpid()}"}
    with urlopen(Request(input["url"], json.dumps(input["body"]).encode(), headers)) as answer:
        return {"status": answer.status, "text": answer.read().decode()}


def texts(*names):
    return lambda input: isinstance(input, dict) and all(isinstance(input.get(name), str) for name in names)


def posts(input):
    return texts("url")(input) and "body" in input


TOOLS = [
    Tool("table.sum", texts("csv", "column"), table_sum),
    Tool("hook.post", posts, hook_post),
    Tool("hook.once", posts, hook_post, at_most_once=True),
]


# Answers to approvals too: all workers of a tool share one group. These tools never ask for approval.
TOOL_TYPES = ["tool.invoke", "approval.granted", "approval.denied"]


async def serve(log, tool, delivery):
    request = delivery.event
    if request["type"] != "tool.invoke":
        return
    if not await is_wanted(log, delivery):  # 2
        return
    began = time.monotonic()
    try:
        if delivery.attempt > MAX_ATTEMPTS:
            raise ToolError("E_WORKER_LOST", f"{tool.name}: its workers ended {delivery.attempt - 1} times")
        type, data = "tool.result", {"output": await run(log, tool, delivery)}
    except ToolError as problem:
        type, data = "tool.failed", {"error": problem.error}
    data["ranMs"] = round((time.monotonic() - began) * 1000)
    id, target = request["id"], {"target": request["replyto"]} if "replyto" in request else {}
    answer = event(request, id=f"{id}:result", call=id, source=f"/tools/{tool.name}", type=type, data=data, **target)
    await log.publish(answer, delivery.shard)  # 8; the acknowledgement follows


async def is_wanted(log, delivery):
    request = delivery.event
    if "deadline" in request and time_of(request["deadline"]) <= datetime.now(timezone.utc):
        return False
    if delivery.attempt == 1 and delivery.age < 1:
        return True
    return not await log.is_settled(request, delivery.shard)


async def run(log, tool, delivery):
    request = delivery.event
    data = await log.data(request)
    input = data.get("input") if isinstance(data, dict) else None
    if not tool.fits(input):  # 4
        raise ToolError("E_TOOL_INPUT", f"{tool.name}: the input does not fit")
    if tool.at_most_once:  # 6
        id, source = f"{request['id']}:claim", f"/tools/{tool.name}"
        claim = event(request, id=id, source=source, type="tool.claimed", data=None)
        if not await log.claim(claim, delivery.shard):
            raise ToolError("E_TOOL_OUTCOME_UNKNOWN", f"{tool.name} was started before, and its end is not known")
    try:  # 7
        work = asyncio.to_thread(tool.run, input, request["id"])
        output = await asyncio.wait_for(work, tool.timeout)
        json.dumps(output, allow_nan=False)
        return output
    except asyncio.TimeoutError:
        raise ToolError("E_TOOL_TIMEOUT", f"{tool.name} ran longer than {tool.timeout} s")
    except Exception as problem:
        raise ToolError("E_TOOL_THREW", f"{type(problem).__name__}: {problem}")


async def audit(log, delivery):
    """A reaction: its id follows from its cause, so that a second delivery changes nothing."""
    order, id = delivery.event, f"audit/{delivery.event['id']}"
    data = {"order": order["id"], "large": (await log.data(order))["total"] > 1000}
    reaction = event(order, id=id, source="/python/audit", type="order.audited", hops=order["hops"] + 1, data=data)
    await log.publish(reaction, delivery.shard)


async def member(log, group, handle, types, target=None):
    """Handles one event after the other, from all partitions in turn; several members handle several at once."""
    subscriptions = None
    while not stopping.is_set():
        try:
            subscriptions = subscriptions or cycle(await log.join(group, types, target))
            if f"paused/{group}" in paused:  # 3: it stays in the group
                await asyncio.sleep(0.2)
                continue
            # With several partitions it waits for each in turn, so not for long.
            [msg] = await next(subscriptions).fetch(1, timeout=2 if len(log.streams) == 1 else 0.25)
        except Unanswered:
            continue
        except NatsError as problem:  # such as a server that came back without its data
            print(f"{group}: {problem!r}", flush=True)
            subscriptions = await asyncio.sleep(1)
            continue
        try:
            delivery = Delivery(msg)
        except (ValueError, RecursionError) as problem:  # not an event
            print(f"{group}: {msg.subject}, {msg.metadata.sequence.stream}: E_EVENT_INVALID: {problem}", flush=True)
            await msg.term()
            continue
        keeping = asyncio.create_task(delivery.keep())
        try:
            await handle(log, delivery)
            await msg.ack()
        except Exception as problem:
            print(f"{group}: {delivery.event['id']}: {problem!r}", flush=True)
            await msg.nak(delay=min(2**delivery.attempt, 60))
        finally:
            keeping.cancel()


async def watch_pauses(log):
    while not stopping.is_set():
        try:
            seen = await log.paused()
            paused.clear()
            paused.update(seen)
        except NatsError:
            pass  # the next reading will show it
        await asyncio.sleep(2)


async def main():
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    log = await Log.open(os.environ.get("TIDINGS_BUS", "nats://127.0.0.1:4222/tidings"))
    paused.update(await log.paused())
    watching = asyncio.create_task(watch_pauses(log))
    members = [member(log, "python/audit", audit, ["order.placed"])]
    served = [tool for tool in TOOLS if tool.name in os.environ.get("SERVE", tool.name).split(",")]
    for tool in served:
        serve_it = lambda log, delivery, tool=tool: serve(log, tool, delivery)
        members += [member(log, f"tool/{tool.name}", serve_it, TOOL_TYPES, tool.name) for _ in range(SLOTS)]
    print(f"serving {', '.join(tool.name for tool in served)} on the log {log.name}", flush=True)
    try:
        await asyncio.gather(*members)
    finally:
        stopping.set()  # if one fails, all end; a cancellation alone can be lost in a request under way
        watching.cancel()
        await log.nc.flush()
        await log.nc.close()


asyncio.run(main())

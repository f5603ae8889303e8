"""Uses the openai package as its documentation has it. It knows nothing of a tap."""

import json

from openai import NotFoundError, OpenAI

client = OpenAI()
model = "gpt-5.2"
functions = [
    ("tide_table", "Times of high water.", {"place": {"type": "string"}}),
    ("free_berth", "Finds a free berth.", {"place": {"type": "string"}, "length": {"type": "number"}}),
]


def schema(properties):
    return {"type": "object", "properties": properties, "required": list(properties)}


tools = [{"type": "function", "function": {"name": n, "description": d, "parameters": schema(p)}} for n, d, p in functions]
messages = [{"role": "system", "content": "You help skippers."}, {"role": "user", "content": "When can we land at Kiel with python chat?"}]
steps = 0
while True:
    steps += 1
    message = client.chat.completions.create(model=model, messages=messages, tools=tools).choices[0].message
    messages.append(message)
    if not message.tool_calls:
        break
    for call in message.tool_calls:
        messages.append({"role": "tool", "tool_call_id": call.id, "content": f"{call.function.name}: yes"})
print(json.dumps({"chat": message.content, "steps": steps}))

text = ""
usage = None
for chunk in client.chat.completions.create(
    model=model,
    messages=[{"role": "user", "content": "When is high water, python stream?"}],
    stream=True,
    stream_options={"include_usage": True},
):
    usage = chunk.usage or usage
    text += "".join(choice.delta.content or "" for choice in chunk.choices)
print(json.dumps({"stream": text, "tokens": usage.total_tokens}))

items = [{"role": "user", "content": "When can we land at Kiel with python responses?"}]
flat = [{"type": "function", "name": n, "description": d, "parameters": schema(p), "strict": False} for n, d, p in functions]
steps = 0
while True:
    steps += 1
    response = client.responses.create(model=model, instructions="You help skippers.", input=items, tools=flat)
    items += response.output
    calls = [item for item in response.output if item.type == "function_call"]
    if not calls:
        break
    items += [{"type": "function_call_output", "call_id": call.call_id, "output": "yes"} for call in calls]
print(json.dumps({"responses": response.output_text, "steps": steps}))

events = []
with client.responses.stream(model=model, input="When is high water, python responses stream?") as stream:
    for event in stream:
        events.append(event.type)
    print(json.dumps({"responses stream": stream.get_final_response().output_text, "last": events[-1]}))

print(json.dumps({"embedding": client.embeddings.create(model="text-embedding-4", input="tide", encoding_format="float").data[0].embedding}))
try:
    client.chat.completions.create(model="no-such-model", messages=[{"role": "user", "content": "Is anybody there?"}])
except NotFoundError as error:
    print(json.dumps({"error": error.status_code, "message": str(error)}))

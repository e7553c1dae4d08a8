# mypy: ignore-errors
"""The ceiling of a framework: the same list of ten rows for every request, and nothing computed.

`fastapi` reads the request into a pydantic model and answers as any FastAPI application would;
`asgi` is a bare uvicorn application that answers bytes.
"""

import argparse
import json

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

ITEMS = [{"rank": i + 1, "item": f"i{i:06d}", "score": 1 / (i + 1)} for i in range(10)]
ANSWER = {"request_id": "0" * 32, "model": {"name": "none", "version": "1"}, "items": ITEMS}
BODY = json.dumps(ANSWER).encode()
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]


class Query(BaseModel):
    history: list[str]
    k: int = 10


class Row(BaseModel):
    rank: int
    item: str
    score: float


class Answer(BaseModel):
    request_id: str
    model: dict[str, str]
    items: list[Row]


app = FastAPI()


@app.post("/recommend")
async def recommend(query: Query) -> Answer:
    return ANSWER


async def asgi(scope, receive, send):
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": BODY})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["fastapi", "asgi"])
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    served = app if given.kind == "fastapi" else asgi
    lifespan = "auto" if given.kind == "fastapi" else "off"
    uvicorn.run(served, port=given.port, log_level="warning", access_log=False, lifespan=lifespan)

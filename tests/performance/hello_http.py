"""The least an HTTP function can be with FastAPI and Mangum: the floor under the gateway's cold start."""

from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()


@app.get("/")
async def hello() -> dict[str, str]:
    return {"hello": "world"}


handler = Mangum(app, lifespan="off")

"""The least servers there can be: `python -m tests.performance.hello_server http PORT` or `grpc SOCKET`."""

import asyncio
import sys


async def serve_grpc(address: str) -> None:
    import grpc

    from tests.echo import echo_service_pb2_grpc
    from tests.performance.hello_grpc import Hello

    server = grpc.aio.server()
    echo_service_pb2_grpc.add_EchoServiceServicer_to_server(Hello(), server)  # type: ignore[abstract]
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


def serve_http(port: int) -> None:
    import uvicorn

    from tests.performance.hello_http import app

    uvicorn.run(app, host="127.0.0.1", port=port, lifespan="off", log_config=None)


if __name__ == "__main__":
    kind, address = sys.argv[1:]
    if kind == "http":
        serve_http(int(address))
    else:
        asyncio.run(serve_grpc(address))

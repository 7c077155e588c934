"""Whether the server in this container is well: `healthy.py LISTEN_ADDRESS`, exit status 0 or 1.

The gateway speaks HTTP and the others speak grpc.health.v1. Asked again every few seconds for as long as a container
lives, so it imports no more than that takes. The gateway is well when it answers: whether the parts behind it are,
they tell themselves, and restarting the gateway would not mend them.
"""

import http.client
import os
import sys

_TIMEOUT_SECONDS = 4


def main(listen: str) -> int:
    """Ask the server that listens at `listen`, which is `host:port` or a `unix:` socket, from inside."""
    well = _gateway_is_well if os.environ.get("DIGLOT_SERVICE") == "gateway" else _service_is_well
    try:
        trouble = well(listen)
    except Exception as error:
        trouble = f"{type(error).__name__}: {error}"
    if trouble:
        sys.stderr.write(f"{listen}: {trouble}\n")
    return 1 if trouble else 0


def _local(listen: str) -> str:
    """The address by which a process beside the server reaches it."""
    host, _, port = listen.rpartition(":")
    return f"{ {'0.0.0.0': '127.0.0.1', '[::]': '[::1]'}.get(host, host) }:{port}"  # noqa: S104 -- compared, not bound


def _gateway_is_well(listen: str) -> str:
    connection = http.client.HTTPConnection(_local(listen), timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health")
        status = connection.getresponse().status
    finally:
        connection.close()
    return "" if status == 200 else f"HTTP {status}"


def _service_is_well(listen: str) -> str:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    address = listen if listen.startswith("unix:") else _local(listen)
    with grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel:
        reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_SECONDS)
    serving = health_pb2.HealthCheckResponse.SERVING
    return "" if reply.status == serving else health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

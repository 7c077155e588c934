#!/bin/sh
# One image, two lives:
#   handler     (the default) a Lambda function: events come from the runtime API that the platform names
#   serve       a server: gRPC, and HTTP for the gateway
#   healthy     exit status 0 when that server, in this container, is well
#   MODULE.NAME a Lambda function with another handler
set -eu

case $DIGLOT_SERVICE in
  gateway) package=gateway port=8000 ;;
  rag) package=services.rag port=50051 ;;
  sql) package=services.sql port=50052 ;;
  ingest) package=services.ingest port=50053 ;;
  router) package=services.router port=50054 ;;
  *) echo "DIGLOT_SERVICE: there is no service $DIGLOT_SERVICE" >&2; exit 64 ;;
esac

# GATEWAY_LISTEN, RAG_LISTEN, …: a server in a container is there for others, so it listens on every address.
variable=$(echo "$DIGLOT_SERVICE" | tr '[:lower:]' '[:upper:]')_LISTEN
listen=
eval "listen=\${$variable:-0.0.0.0:$port}"

case ${1:-handler} in
  serve)
    export "$variable=$listen"
    exec python3 -m "$package.server"
    ;;
  healthy) exec python3 /opt/diglot/healthy.py "$listen" ;;
  handler) exec python3 -m awslambdaric "$package.handler.handler" ;;
  *.*) exec python3 -m awslambdaric "$1" ;;
  *) echo "unknown command: $1 (handler, serve, healthy, or a handler such as $package.handler.handler)" >&2; exit 64 ;;
esac

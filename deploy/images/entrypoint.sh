#!/bin/sh
# One image, two lives:
#   handler     (the default) a Lambda function: events come from the runtime API that the platform names
#   serve       a server: gRPC, and HTTP for the gateway
#   healthy     exit status 0 when that server, in this container, is well
#   MODULE.NAME a Lambda function with another handler
set -eu

# A server in a container is there for others, so it listens on every address unless it is told another.
case $DIGLOT_SERVICE in
  gateway) package=gateway && export GATEWAY_LISTEN="${GATEWAY_LISTEN:=0.0.0.0:8000}" && listen=$GATEWAY_LISTEN ;;
  rag) package=services.rag && export RAG_LISTEN="${RAG_LISTEN:=0.0.0.0:50051}" && listen=$RAG_LISTEN ;;
  sql) package=services.sql && export SQL_LISTEN="${SQL_LISTEN:=0.0.0.0:50052}" && listen=$SQL_LISTEN ;;
  ingest) package=services.ingest && export INGEST_LISTEN="${INGEST_LISTEN:=0.0.0.0:50053}" && listen=$INGEST_LISTEN ;;
  router) package=services.router && export ROUTER_LISTEN="${ROUTER_LISTEN:=0.0.0.0:50054}" && listen=$ROUTER_LISTEN ;;
  *) echo "DIGLOT_SERVICE: there is no service $DIGLOT_SERVICE" >&2; exit 64 ;;
esac

case ${1:-handler} in
  serve) exec python3 -m "$package.server" ;;
  healthy) exec python3 /opt/diglot/healthy.py "$listen" ;;
  handler) exec python3 -m awslambdaric "$package.handler.handler" ;;
  *.*) exec python3 -m awslambdaric "$1" ;;
  *) echo "unknown command: $1 (handler, serve, healthy, or a handler such as $package.handler.handler)" >&2; exit 64 ;;
esac

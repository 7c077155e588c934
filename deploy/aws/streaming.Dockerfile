# A gateway that streams through its Function URL: the Lambda Web Adapter beside the gateway's own HTTP server.
# Lambda starts what lies in /opt/extensions; it waits for the server's port and hands it each request as HTTP, so the
# container runs `serve` (the template says so where InvokeMode is RESPONSE_STREAM).
#
#   docker build -f deploy/aws/streaming.Dockerfile --build-arg GATEWAY_IMAGE=diglot-gateway -t diglot-gateway-streaming .
ARG GATEWAY_IMAGE
ARG ADAPTER_IMAGE=public.ecr.aws/awsguru/aws-lambda-adapter:0.9.1

# hadolint ignore=DL3006
FROM ${ADAPTER_IMAGE} AS adapter

# hadolint ignore=DL3006
FROM ${GATEWAY_IMAGE}
COPY --from=adapter /lambda-adapter /opt/extensions/lambda-adapter
CMD ["serve"]

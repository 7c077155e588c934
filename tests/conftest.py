"""Fixtures that every tier may use."""

import os

# Tests start PostgreSQL from this very process, by fork and exec. gRPC's own handling of forks, meant for children that
# go on calling, now and then kills such a child before it becomes another program. Set before gRPC is imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

from tests.aws_server import aws_account, aws_endpoint
from tests.openai_server import openai_server
from tests.pinecone_server import pinecone_server
from tests.postgres import make_folder, postgres_server, shop_owner_url, shop_url, store_url
from tests.redis_server import _running_redis, redis_server
from tests.rerank_server import rerank_server
from tests.upstash_server import upstash_server

__all__ = [
    "_running_redis",
    "aws_account",
    "aws_endpoint",
    "make_folder",
    "openai_server",
    "pinecone_server",
    "postgres_server",
    "redis_server",
    "rerank_server",
    "shop_owner_url",
    "shop_url",
    "store_url",
    "upstash_server",
]

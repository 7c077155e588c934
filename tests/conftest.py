"""Fixtures that every tier may use."""

from tests.postgres import postgres_server, shop_owner_url, shop_url, store_url

__all__ = ["postgres_server", "shop_owner_url", "shop_url", "store_url"]

"""Fixtures that every tier may use."""

from tests.postgres import make_folder, postgres_server, shop_owner_url, shop_url, store_url

__all__ = ["make_folder", "postgres_server", "shop_owner_url", "shop_url", "store_url"]

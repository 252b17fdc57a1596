"""Bench of `ScaleDecode`: that of `Decode`, on the formats of scales."""

from .decode import every_code

__all__ = ["every_code"]

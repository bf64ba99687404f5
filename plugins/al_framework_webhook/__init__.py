"""Deliver to any HTTP endpoint."""

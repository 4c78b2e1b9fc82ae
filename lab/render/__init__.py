"""Clips of the world: written by either renderer, and measured as the product measures them."""

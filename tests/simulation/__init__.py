"""Searches and batches in a simulated world, where everything goes wrong that can."""

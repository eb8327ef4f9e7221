"""Processes that stay for one run after another."""

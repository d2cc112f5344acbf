"""Supported boards and their reports."""

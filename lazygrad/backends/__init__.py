"""Executors of schedules."""

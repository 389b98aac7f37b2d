"""Dagster's event log: pooled storage for it, and the tail that tells what happened since a cursor."""

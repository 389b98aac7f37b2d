"""The platform watching itself: alerts now, lateness, sweeps and vacuum as they come."""

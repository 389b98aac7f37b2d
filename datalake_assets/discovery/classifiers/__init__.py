"""What an object is written in: each classifier says how certain it is, and why."""

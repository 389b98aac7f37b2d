"""Which runs to request and why: one pure decision, and the sensor that acts on it."""

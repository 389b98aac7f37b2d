"""moto as a server of its own that keeps what was in it over a stop, a kill and a start."""

"""From an event to a message that arrived: recorded once, delivered until somebody took it, never dropped."""

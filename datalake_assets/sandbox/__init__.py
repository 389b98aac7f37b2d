"""AWS, a warehouse and PostgreSQL on one machine, for development, the demo and the tests."""

"""The local stack: a real PostgreSQL and a real Kafka broker for development, the demo and the tests."""

"""What machines are told of a running consumer: metrics, health, logs and traces."""

"""What is particular to PostgreSQL's driver."""

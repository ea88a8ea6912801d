"""Running a consumer: a member of a group that claims partitions, feeds lanes, and settles chunk after chunk."""

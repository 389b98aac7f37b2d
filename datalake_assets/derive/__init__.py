"""Tables that are made of other tables: a SELECT over published partitions becomes a published partition."""

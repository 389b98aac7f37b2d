"""What runs: one folder per account, one folder per pipeline inside."""

"""The account of what people write: posts about films."""

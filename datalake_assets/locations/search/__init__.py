"""The account of what people look for: searches, which other accounts build on."""

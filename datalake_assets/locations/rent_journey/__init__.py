"""The account of how offer meets demand: metrics over the listings and searches of two other accounts."""

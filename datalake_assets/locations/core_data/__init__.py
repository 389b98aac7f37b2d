"""The account of what is to rent: listings, which other accounts build on."""

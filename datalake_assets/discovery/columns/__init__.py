"""From sampled values to columns: profiles that merge, a lattice of types, names that a table can have."""

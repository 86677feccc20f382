"""Random search: uniformly drawn genotypes, each trained for a short budget and ranked."""

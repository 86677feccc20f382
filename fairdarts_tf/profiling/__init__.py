"""What a found network costs: counted from its genotype (`counts`), and measured on this device (`latency`)."""

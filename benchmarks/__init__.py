"""What fairdarts_tf is measured against."""

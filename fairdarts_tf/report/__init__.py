"""What is shown of a search: pictures and tables."""

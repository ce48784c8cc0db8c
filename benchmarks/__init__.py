"""What `make bench` prints: how fast the box falls silent, what it claims was heard, and what it costs."""

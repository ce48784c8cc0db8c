"""Sound, pure: one period in, one period out. Nothing here opens a device or reads a clock."""

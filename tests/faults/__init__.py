"""What goes wrong in the field, tried for real: `make test-faults`. The quick ones are tests like any other."""

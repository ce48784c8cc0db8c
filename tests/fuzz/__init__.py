"""Random input for everything that reads what comes from outside: `make fuzz`, and a little of it in every test run."""

"""The tests: sentences about what a person hears, sees, or reads in the journal."""

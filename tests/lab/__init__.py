"""The laboratory: a virtual sound card and virtual pins, which a program under test takes for real ones."""

"""The program as a process, on the virtual card, with the button pressed and the light read from outside."""

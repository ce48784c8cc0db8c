"""The other side of the telephone: services that behave like the real ones, or worse. None knows edgevoice."""

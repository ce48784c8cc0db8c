"""A virtual sound card through the real alsa-lib: all that a program plays and hears, sample by sample."""

from .labcard import Event, World, build

__all__ = ["Event", "World", "build"]

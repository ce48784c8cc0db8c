"""A virtual sound card through the real alsa-lib: what a program plays and hears, sample by sample, without hardware."""

from .labcard import Event, World, build

__all__ = ["Event", "World", "build"]

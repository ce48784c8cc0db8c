"""edgevoice: a Raspberry Pi with a sound card, a button and a light as an appliance that you talk with."""

__version__ = "0.1.0"

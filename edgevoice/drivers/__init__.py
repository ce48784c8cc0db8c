"""The parts that touch the world: sound card, pins, sockets, systemd."""

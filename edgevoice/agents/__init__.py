"""One pure file for each agent service: its messages, without the socket."""

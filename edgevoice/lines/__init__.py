"""One pure file for each phone service: its messages, without the socket; and what every phone call does alike."""

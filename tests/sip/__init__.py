"""SIP with real peers: Kamailio, Debian's baresip, sipp, and a scripted one that does what no polite peer would do."""

"""The port of a service: a pure object that turns its messages into our events and our commands into its messages.

The driver owns the socket and the clock. It calls one method at a time and carries out the `Reply`; a wire never
waits, it says when it wants to be called again (`deadline`). It is used like this:

    connect to wire.request()  ->  opened(at)  ->  receive(message, at) / perform(command, at) / expire(at) ...
                                               ->  closed(code, reason, at)   when the socket is gone

`Reply.renew` asks the driver for a second connection beside the first (a session that is about to expire): once it is
open the driver sends and receives on it alone, calls `opened(at)` again, and closes the old one. Where the service
takes no second one (`Request.alone`) the old one is closed first, and it goes on as after a link that is lost, only
that nobody is told of it.

A link that is lost in mid-conversation is looked for, if the wire can go on (`lost`). Then it goes like this:

    lost(at) -> True  ->  request()  ->  opened(at)  ->  receive ... -> Reply(events=(Resumed(),))

In `opened` the wire tells the service what was said so far, as text; once the service is ready it tells `Resumed`. The
driver keeps what the person says until then (`Play` and `Respond`, in order) and performs it after that; every other
command is performed at once, and what the wire would send while there is no connection is not sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from edgevoice.events import Closed, Command, Event


@dataclass(frozen=True, slots=True)
class Reply:
    """What to do now, in this order: forget what waits, send, tell, renew, close."""

    send: tuple[str | bytes, ...] = ()  # one item is one WebSocket message; str goes out as a text frame
    events: tuple[Event, ...] = ()
    renew: bool = False
    close: bool = False  # end the connection politely after sending
    forget: bool = False  # what waits to be sent is not sent any more: it was meant to be heard, and is not to be


NOTHING = Reply()


@dataclass(frozen=True, slots=True)
class Request:
    """Where to connect. The headers hold secrets and are not shown, and so is a url that is `secret`.

    With `leads_to` the url is no socket's: it is asked for (GET), and status (0: not reached) and body of the answer
    say where to connect, or why not.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    alone: bool = False  # a second connection may not stand beside the first: `renew` gives that up before
    pong_s: float = 0.0  # a ping may stay unanswered for so long; 0: as long as is usual
    secret: bool = False
    leads_to: Callable[[int, bytes], Request | Closed] | None = field(default=None, repr=False)


class Wire(Protocol):
    """One service's side of a call, without the socket."""

    @property
    def rate(self) -> int:
        """Hz, of the samples it takes and gives."""

    @property
    def deadline(self) -> float | None:
        """When `expire` wants to be called (monotonic seconds), or None."""

    def request(self) -> Request | None:
        """Say where to connect; None for a service that needs no connection."""

    def opened(self, at: float) -> Reply:
        """The connection stands (or stands again, after `renew`): say hello."""

    def receive(self, message: str | bytes, at: float) -> Reply:
        """Take one message. Garbage never raises: it is ignored, or ends the call with `Closed`."""

    def perform(self, command: Command, at: float) -> Reply:
        """Carry out one command. After `Closed` was told, do nothing."""

    def expire(self, at: float) -> Reply:
        """The deadline has passed."""

    def lost(self, at: float) -> bool:
        """Take that the link is gone, and not wished so. True: `opened` may follow, on a new connection.

        After that the wire tells `Resumed` where it told `Opened` the first time (also after `renew`: it is ignored).
        """

    def closed(self, code: int, reason: str, at: float) -> Closed:
        """Say what it means that the connection is gone.

        `code` is the WebSocket close code, or the HTTP status (100-599) when the service refused the connection, or 0
        when it could not be reached at all. `reason` is the text that came with it (for an HTTP refusal: its body).
        """

"""The far end of a Gemini wire in the tests: it says what the service would say, and checks what it is told."""

from __future__ import annotations

import base64
import json
from typing import Any

from google.genai.types import LiveClientMessage, LiveServerMessage, RealtimeInputConfig

from edgevoice.agents.agent import Agent
from edgevoice.agents.gemini import Gemini, Settings
from edgevoice.wire import Reply
from tests.agents.stage import Stage, sound


def check(message: str, event: dict[str, Any]) -> None:
    """Check a message of ours against the types of Google's package, which suffer no unknown field."""
    setup = event.get("setup", {})
    if "realtimeInputConfig" in setup:  # the package puts it there, but its type of a setup does not know it
        RealtimeInputConfig.model_validate(setup["realtimeInputConfig"])
        event = {"setup": {name: value for name, value in setup.items() if name != "realtimeInputConfig"}}
    LiveClientMessage.model_validate_json(json.dumps(event))


class GeminiService(Stage):
    """What Gemini says and is told."""

    wire: Agent

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(Gemini(settings or Settings(api_key="AIza-secret")), check)

    # ------------------------------------------------------------------------------------------ what happens

    def opens(self) -> GeminiService:
        self.take(self.wire.opened(self.at))
        self.says(setupComplete={})
        return self

    def resumes(self) -> GeminiService:
        """The link is lost, and another connection stands."""
        assert self.wire.lost(self.at)
        return self.opens()

    def says(self, **message: Any) -> Reply:
        LiveServerMessage.model_validate_json(json.dumps(message))
        return self.take(self.wire.receive(json.dumps(message), self.at))

    def speaks(self, ms: float, words: str = "", mime_type: str = "audio/pcm;rate=24000") -> GeminiService:
        data = base64.b64encode(sound(ms)).decode()
        content: dict[str, Any] = {"modelTurn": {"parts": [{"inlineData": {"mimeType": mime_type, "data": data}}]}}
        if words:
            content["outputTranscription"] = {"text": words}
        self.says(serverContent=content)
        return self

    def marks(self, *names: str) -> GeminiService:
        """Say one of generationComplete, interrupted, turnComplete; each in a message of its own."""
        for name in names:
            self.says(serverContent={name: True})
        return self

    def ends(self) -> GeminiService:
        return self.marks("generationComplete", "turnComplete")

    def hears(self, words: str) -> GeminiService:
        self.says(serverContent={"inputTranscription": {"text": words}})
        return self

    def calls(self, id: str, name: str, **arguments: Any) -> GeminiService:
        self.says(toolCall={"functionCalls": [{"id": id, "name": name, "args": arguments}]})
        return self

    def gives_handle(self, handle: str, *, resumable: bool = True) -> GeminiService:
        self.says(sessionResumptionUpdate={"newHandle": handle, "resumable": resumable})
        return self

    # --------------------------------------------------------------------------------------- what came of it

    def setup(self) -> dict[str, Any]:
        """Return the newest description of a session."""
        return dict([event["setup"] for event in self.sent if "setup" in event][-1])

    def turns(self) -> list[str]:
        """Return what was sent of the person since the last time: the marks, and how many ms of sound between them."""
        told: list[str] = []
        for event in self.sent:
            for kind, value in event.get("realtimeInput", {}).items():
                if kind != "audio":
                    told.append(value if kind == "text" else kind)
                    continue
                ms = len(base64.b64decode(value["data"])) / 32
                before = told.pop() if told and told[-1].endswith(" ms") else "0 ms"
                told.append(f"{float(before.removesuffix(' ms')) + ms:g} ms")
        self.sent = [event for event in self.sent if "realtimeInput" not in event]
        return told

    def appended(self) -> bytes:
        """Return the person's sound, at 16 kHz."""
        sent = [event["realtimeInput"].get("audio") for event in self.sent if "realtimeInput" in event]
        return b"".join(base64.b64decode(audio["data"]) for audio in sent if audio)

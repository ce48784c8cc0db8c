"""What the `elevenlabs` package knows of the messages that a client may send: its own types judge ours."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pydantic

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it names the former client of `websockets`
    from elevenlabs.conversational_ai.conversation import (
        ClientToOrchestratorEvent,
        ContextualUpdateClientToOrchestratorEvent,
        UserActivityClientToOrchestratorEvent,
        UserMessageClientToOrchestratorEvent,
    )
from elevenlabs.types.conversation_initiation_client_data_request_input import (
    ConversationInitiationClientDataRequestInput,
)

from tests.fake_service import decode, unknown_fields

# Of these the package has no types: it writes them by hand, with these fields.
BY_HAND: dict[str, dict[str, type]] = {
    "pong": {"event_id": int},
    "client_tool_result": {"tool_call_id": str, "result": str, "is_error": bool},
}


def problems(message: str | bytes) -> list[str]:
    """Say what is wrong with a message of a client; nothing, if the package would send such a one."""
    if isinstance(message, bytes):
        return ["a binary frame"]
    try:
        event = json.loads(message)
    except ValueError as error:
        return [str(error)]
    if not isinstance(event, dict):
        return ["no object"]
    if "type" not in event:  # the person's sound, and nothing else
        whole = set(event) == {"user_audio_chunk"} and decode(event["user_audio_chunk"]) is not None
        return [] if whole else [f"no type, and no sound: {sorted(event)}"]
    return list(_problems(str(event["type"]), {name: value for name, value in event.items() if name != "type"}))


def _problems(type: str, fields: dict[str, Any]) -> list[str]:
    if type not in {known.value for known in ClientToOrchestratorEvent}:
        return [f"unknown type {type!r}"]
    written: dict[str, Any]
    match type:
        case "conversation_initiation_client_data":
            try:
                read = ConversationInitiationClientDataRequestInput.model_validate(fields)
            except pydantic.ValidationError as error:
                return [str(error)]
            return [f"unknown field {path}" for path in unknown_fields(read, type)]
        case "contextual_update":
            written = ContextualUpdateClientToOrchestratorEvent(fields.get("text", "")).to_dict()
        case "user_message":
            written = UserMessageClientToOrchestratorEvent(fields.get("text", "")).to_dict()
        case "user_activity":
            written = UserActivityClientToOrchestratorEvent().to_dict()
        case _:
            expected = BY_HAND.get(type, {})
            kinds = {name: value.__class__ for name, value in fields.items()}
            return [] if kinds == expected else [f"{type} has {kinds}, expected {expected}"]
    expected_fields = {name: value for name, value in written.items() if name != "type"}
    return [] if fields == expected_fields else [f"{type} has {sorted(fields)}, expected {sorted(expected_fields)}"]

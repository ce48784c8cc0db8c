"""Where an ElevenLabs agent is connected to, and what the ends of a conversation mean."""

from __future__ import annotations

import json

import pytest

from edgevoice.agents.elevenlabs import ElevenLabs, Settings
from edgevoice.agents.elevenlabs_session import closing
from edgevoice.events import Closed, End
from edgevoice.wire import Request
from tests.agents.elevenlabs_stage import KEY

PUBLIC, PRIVATE = Settings(agent_id="agent_1"), Settings(agent_id="agent_1", api_key=KEY)


def answered(status: int, body: bytes, url: str = PRIVATE.url) -> Request | Closed:
    """Ask for the address of a private agent, and let the service answer that."""
    request = ElevenLabs(Settings(agent_id="agent_1", api_key=KEY, url=url)).request()
    assert request
    assert request.leads_to
    return request.leads_to(status, body)


def test_a_public_agent_is_connected_to_by_its_id() -> None:
    request = ElevenLabs(PUBLIC).request()
    assert request == Request("wss://api.elevenlabs.io/v1/convai/conversation?agent_id=agent_1")


def test_what_the_url_says_besides_is_kept() -> None:
    url = "wss://api.eu.residency.elevenlabs.io/v1/convai/conversation?environment=staging&agent_id=another"
    request = ElevenLabs(Settings(agent_id="agent_1", url=url)).request()
    assert request
    assert request.url == url.replace("another", "agent_1")


def test_the_address_of_a_private_agent_is_asked_for_with_the_key() -> None:
    request = ElevenLabs(PRIVATE).request()
    assert request
    assert request.url == "https://api.elevenlabs.io/v1/convai/conversation/get-signed-url?agent_id=agent_1"
    assert request.headers == {"xi-api-key": KEY}
    signed = answered(
        200,
        b'{"conversation_id":null,"signed_url":"wss://x.elevenlabs.io/v1/convai/conversation?agent_id=a&signature=s"}',
    )
    assert isinstance(signed, Request)
    assert signed.url == "wss://x.elevenlabs.io/v1/convai/conversation?agent_id=a&signature=s"
    assert (signed.headers, signed.leads_to, signed.secret) == ({}, None, True)
    assert "signature" not in repr(signed)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"signed_url":7}',
        b'{"signed_url":""}',
        b'{"signed_url":"https://x"}',
        b'{"signed_url":"ws://x"}',
    ],
)
def test_an_answer_without_an_encrypted_address_is_none(body: bytes) -> None:
    assert answered(200, body) == Closed(End.BROKEN, "api.elevenlabs.io gave no address for the agent 'agent_1'")


def test_an_unencrypted_service_of_ones_own_gives_unencrypted_addresses() -> None:
    signed = answered(200, b'{"signed_url":"ws://127.0.0.1:1/x"}', "ws://127.0.0.1:1/v1/convai/conversation")
    assert isinstance(signed, Request)


@pytest.mark.parametrize(
    ("status", "body", "end", "means"),
    [
        (0, "Name or service not known", End.LINK_LOST, "api.elevenlabs.io cannot be reached: Name or"),
        (
            401,
            '{"detail":{"status":"invalid_api_key"}}',
            End.BAD_CREDENTIALS,
            "does not accept the API key for the agent",
        ),
        (
            404,
            '{"detail":{"status":"document_not_found"}}',
            End.REFUSED,
            "does not know the agent 'agent_1' (HTTP 404)",
        ),
        (422, "{}", End.REFUSED, "check agent_id"),
        (429, "", End.LINK_LOST, "too busy"),
        (503, "quota service is down", End.LINK_LOST, "in trouble (HTTP 503)"),
    ],
)
def test_an_address_that_is_not_given_has_its_reason(status: int, body: str, end: End, means: str) -> None:
    closed = answered(status, body.encode())
    assert isinstance(closed, Closed)
    assert closed.end is end
    assert means in closed.reason


@pytest.mark.parametrize(
    ("code", "reason", "end", "means"),
    [
        (
            3000,
            "The AI agent you are trying to reach does not exist.",
            End.REFUSED,
            "has no agent 'agent_1': check agent_id",
        ),
        (3000, "Could not authorize the conversation.", End.BAD_CREDENTIALS, "is private: name a file with an API key"),
        (1008, "This agent requires authentication", End.BAD_CREDENTIALS, "in api_key_file"),
        (1002, "This request exceeds your quota limit.", End.NO_CREDIT, "has no credit left"),
        (
            1002,
            "The AI agent you are trying to reach appears to be misconfigured;",
            End.REFUSED,
            "is misconfigured: mend it",
        ),
        (1008, "Missing required dynamic variables: {'name'}", End.REFUSED, "fill agent.elevenlabs.variables: Missing"),
        (1008, "Override for field 'language' is not allowed", End.REFUSED, "leave out instructions, language, voice"),
        (3000, "Request error", End.REFUSED, "refuses the conversation (3000): Request error"),
        (1000, "", End.REFUSED, "ended the conversation before it began"),
        (403, "", End.BAD_CREDENTIALS, "is private"),
        (1002, "", End.BROKEN, "did not keep to the protocol"),
        (1006, "", End.LINK_LOST, "broke (1006)"),
        (1011, "", End.LINK_LOST, "broke (1011)"),
    ],
)
def test_every_end_before_the_conversation_has_its_sentence(code: int, reason: str, end: End, means: str) -> None:
    closed = closing(PUBLIC, code, reason, begun=False)
    assert closed.end is end
    assert means in closed.reason


def test_a_signed_address_that_has_expired_is_asked_for_again() -> None:
    closed = closing(PRIVATE, 3000, "Signed URL has expired", begun=False)
    assert closed == Closed(
        End.LINK_LOST, "the signed address of api.elevenlabs.io has expired: the next try asks for a new one"
    )


def test_a_public_agent_has_no_address_that_could_expire() -> None:
    assert closing(PUBLIC, 3000, "The trial has expired", begun=False).end is End.REFUSED


def test_an_agent_that_says_goodbye_is_not_called_back() -> None:
    assert closing(PUBLIC, 1000, "", begun=True) == Closed(End.HUNG_UP, "the agent ended the conversation")


def test_a_conversation_that_broke_off_is_not_taken_for_a_refusal() -> None:
    assert closing(PUBLIC, 1011, "tool: unauthorized", begun=True).end is End.LINK_LOST


def test_no_key_and_no_signature_is_repeated() -> None:
    closed = closing(PRIVATE, 1008, json.dumps({"bad": KEY, "also": "sk_0123456789abcdef"}), begun=True)
    assert KEY not in closed.reason
    assert "sk_" not in closed.reason

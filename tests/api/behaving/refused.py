"""Requests that a provider does not want: refused, not now, or not from us."""

from tests.api.behaving.behaviour import (
    DONE,
    Behaviour,
    Leads,
    error,
    event,
)

REFUSED: dict[str, Behaviour] = {
    "context too long": Behaviour(
        "Refuses what is too long.",
        Leads.REFUSED,
        status=400,
        steps=(error("This model's maximum context length is 8 tokens.", code="context"),),
        sentence="This model's maximum context length is 8 tokens.",
    ),
    "refused in a list": Behaviour(
        "Puts its error in a list.",  # FuzzAnything/PromptFuzz#42
        Leads.REFUSED,
        status=400,
        steps=(b"[" + error("Cannot find field.", code=400) + b"]",),
        sentence="Cannot find field.",
    ),
    "refused as text": Behaviour(
        "Has a text for an error.",
        Leads.REFUSED,
        status=400,
        steps=(b'{"error": "model does not support tools"}',),
        sentence="model does not support tools",
    ),
    "refused by its framework": Behaviour(
        "Refuses as its framework does.",
        Leads.REFUSED,
        status=422,
        steps=(b'{"detail": [{"loc": ["body", "top_p"], "msg": "must be below 1"}]}',),
        sentence="must be below 1",
    ),
    "too large": Behaviour(
        "Refuses with a page of its proxy.",
        Leads.REFUSED,
        status=413,
        steps=(b"<html><h1>413 Request Entity Too Large</h1></html>",),
        headers={"Content-Type": "text/html"},
    ),
    "refused in the stream": Behaviour(
        "Begins a stream to say that it refuses.",  # dcdpr/jp#978
        Leads.REFUSED,
        steps=(
            event({"error": {"code": 400, "message": "prompt is too long"}, "choices": []}),
            DONE,
        ),
        sentence="prompt is too long",
    ),
    "too many requests": Behaviour(
        "Has no room for a while.",
        Leads.BUSY,
        status=429,
        headers={"Retry-After": "17"},
        steps=(error("Rate limit reached"),),
        retry_after=17,
    ),
    "unavailable": Behaviour("Is down.", Leads.BUSY, status=503, steps=(b"no healthy upstream",)),
    "overloaded": Behaviour("Is overloaded.", Leads.BUSY, status=529, steps=(b"{}",)),
    "busy in the stream": Behaviour(
        "Begins a stream to say that it is full.",  # BerriAI/litellm#40578
        Leads.BUSY,
        steps=(event({"error": {"message": "queue full", "code": 503}}), DONE),
    ),
    "no money": Behaviour(
        "Wants to be paid, and calls it a rate limit.",  # langchain-ai/langchainjs#1929
        Leads.ALARM,
        status=429,
        steps=(error("You exceeded your current quota", code="insufficient_quota"),),
    ),
    "key unknown": Behaviour(
        "Does not know our key.",
        Leads.ALARM,
        status=401,
        steps=(error("Incorrect API key provided: model-key"),),
    ),
    "key refused as a bad request": Behaviour(
        "Answers 400 to a key that it does not know.",
        Leads.ALARM,
        status=400,
        steps=(error("API key not valid. Please pass a valid API key."),),
    ),
    "model unknown": Behaviour(
        "Does not know the model.",
        Leads.ALARM,
        status=404,
        steps=(error("The model `gone` does not exist"),),
    ),
}

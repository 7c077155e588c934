"""Telling apart what a document says from what somebody hid in it for a language model.

Retrieved text is data. A sentence that orders a model about is no answer to a question about the document, so it is not
quoted; it needs an order together with what only a model has: a prompt, instructions before, a role, a marked turn.
"""

import re

_MARKED_TURN = re.compile(
    r"</?(?:system|assistant|user|instructions?|prompt|im_start|im_end)\b[^>]*>|<\|[^|>]{1,40}\|>|\[/?(?:INST|SYS|SYSTEM)\]|<</?SYS>>"
    r"|^\s*(?:system|assistant|ai|new instructions?|important instructions?)\s*(?:prompt|message|note|override)?\s*:",
    re.IGNORECASE,
)
_SET_ASIDE = re.compile(
    r"(?<!not )(?<!never )(?<!n't )\b(?:ignor\w+|disregard\w*|forget\w*|overrid\w+|bypass\w*|discard\w*)\b"
    r"[^.!?]{0,30}\b(?:previous|prior|above|preceding|earlier|rest of|all|any|other|your|system)\b[^.!?]{0,30}"
    r"\b(?:instructions?|prompts?|directives?|guidelines|context|conversation|text|data|rules|input|messages?)\b",
    re.IGNORECASE,
)
_SPEAK_AS_MODEL = re.compile(
    r"\b(?:you are (?:now an?|an? (?:ai|language model|assistant|chatbot)|chatgpt|gpt)|pretend (?:to be|that you)"
    r"|as an ai\b|your (?:system )?prompt|reveal (?:your|the) (?:system|hidden)|developer mode|jailbreak)",
    re.IGNORECASE,
)
_SAY_THIS = re.compile(
    r"^\W*(?:\w+[,:]?\s+){0,6}?(?:print|output|say|reply with|respond with|answer with|repeat|echo)\b[^.!?]{0,40}"
    r"(?:[\"“'‘]|\b(?:nothing (?:else|but)|verbatim|the (?:phrase|word|text|sentence))\b)",
    re.IGNORECASE,
)


def instructs_a_model(sentence: str) -> bool:
    """Whether a sentence is an order to a language model rather than something a document tells its readers."""
    return any(
        pattern.search(sentence) is not None for pattern in (_MARKED_TURN, _SET_ASIDE, _SPEAK_AS_MODEL, _SAY_THIS)
    )

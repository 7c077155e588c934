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
    r"\b(?:ignor\w+|disregard\w*|forget\w*|overrid\w+|bypass\w*|discard\w*|do not follow|don't follow|stop following)\b"
    r"[^.!?]{0,60}\b(?:instructions?|prompts?|directives?|guidelines|context|conversation|(?:previous|prior|above|preceding|other|rest|earlier)"
    r"(?:\s+\w+){0,3}\s*(?:text|data|rules?|input|document|content|messages?|everything)?)\b",
    re.IGNORECASE,
)
_SPEAK_AS_MODEL = re.compile(
    r"\b(?:you are (?:now|an? (?:ai|language model|assistant|chatbot)|chatgpt|gpt)|act as (?:an?|if)|pretend (?:to be|that you)|as an ai\b"
    r"|your (?:system )?(?:prompt|instructions)|reveal (?:your|the) (?:system|hidden)|developer mode|jailbreak)",
    re.IGNORECASE,
)
_SAY_THIS = re.compile(
    r"^\W*(?:\w+[,:]?\s+){0,6}?(?:print|output|say|reply|respond|answer|write|repeat|echo)\b[^.!?]{0,40}"
    r"(?:[\"“'‘]|\b(?:only|exactly|nothing (?:else|but)|verbatim|the (?:following|phrase|word|text|sentence))\b)",
    re.IGNORECASE,
)


def instructs_a_model(sentence: str) -> bool:
    """Whether a sentence is an order to a language model rather than something a document tells its readers."""
    return any(
        pattern.search(sentence) is not None for pattern in (_MARKED_TURN, _SET_ASIDE, _SPEAK_AS_MODEL, _SAY_THIS)
    )

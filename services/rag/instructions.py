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


# What only a model is called, together with an order to it.
_MODEL = (
    r"(?:A\.?I\.?(?: (?:systems?|readers?|models?|assistants?))?|chat ?bots?|LLMs?|(?:large )?language models?|GPT\S*)"
)
_SPEECH = (
    r"(?:tell|say|reply|respond|answer|include|recommend|write|print|output|ignore|repeat|mention|begin|end|reveal"
    r"|state|claim|add|follow|obey|return)"
)
_CALLED_BY_NAME = re.compile(
    rf"\b(?:note|notice|message|instructions?|attention|dear|hey|hello|listen)\b[^.!?:]{{0,20}}?\b{_MODEL}\s*[:,!]"
    rf"|\b{_MODEL}\b[^.!?]{{0,60}}\b(?:must|should|shall|has to|have to)\b(?: \w+)?? {_SPEECH}\b"
    rf"|\bif you are (?:an? )?{_MODEL}\b|<!--\s*(?:{_MODEL}|assistant|system)\b"
    rf"|[\"']role[\"']\s*:\s*[\"'](?:system|assistant|user)[\"']",
    re.IGNORECASE,
)
# What only one who answers questions about a text could be told by it.
_THE_TASK = r"(?:tasks?|questions?|prompts?|requests?|instructions?|directions|directives?|rules|orders)"
_SET_A_NEW_TASK = re.compile(
    r"\byour (?:new (?:task|role|goal|job|objective|purpose) (?:is|will be)\b"
    rf"|(?:hidden|secret|internal|initial|earlier|previous|prior|original) {_THE_TASK})"
    r"|\bfrom now on,? (?:you|answer|respond|reply|speak|act|ignore|only (?:answer|reply|respond))\b"
    r"|\bstop (?:reading|processing|summari[sz]ing)\b[^.!?]{0,20}\b(?:here|now|this)\b"
    r"|(?:\b(?:begin|start|end)(?: of)?(?: new| system)? |#{2,}\s*|\b(?:new|updated|hidden|secret|system|override) )"
    r"(?:instructions?|prompt|directives?)\s*:"
    r"|\b(?:forget|ignore|disregard)\b (?:everything|anything|all|what(?:ever)?|the (?:text|question|rest))\b"
    r"[^.!?]{0,25}\b(?:above|before|below|else|you (?:were|have been|know)|and (?:say|write|print))\b"
    r"|\b(?:do not|don't|never|instead of) (?:answer|summari[sz]|respond to|reply to|translat)\w*\b"
    r"(?: (?:the|this|any|that)(?: user'?s?)? (?:question|text|document|page|article|prompt|request|user)\b|,)"
    r"|\bact as\b[^.!?]{0,40}\b(?:when|while|whenever) you (?:answer|reply|respond|write|speak)\b",
    re.IGNORECASE,
)
_DICTATE_THE_ANSWER = re.compile(
    r"(?:^|[:;,]\s*|\b(?:please|must|should|instead|and)\s+)(?:tell|inform|convince|persuade|ask)"
    r" (?:the|your|every) (?:users?|readers?|humans?)\b"
    r"|\b(?:answer|reply to|respond to)\b[^.!?]{0,20}\bquestions?\b with\s+(?:[\"“'‘]|the (?:word|phrase))"
    r"|\b(?:reply|respond|answer)\b (?:only |just )?with (?:only |just )?the (?:word|phrase|text|sentence)\b"
    r"|\b(?:whoever|anyone who|anybody who|everyone who)\b (?:answer|summari[sz]|translat|read)\w*\b[^.!?]{0,60}"
    r"\b(?:begin|start|end|finish|say|write|include)\b[^.!?]{0,10}(?:[\"“'‘]|with\b|the (?:word|phrase))"
    r"|\bwhen(?:ever)? (?:you )?(?:summari[sz]|answer|translat|describ)\w* (?:this|the) "
    r"(?:document|text|page|article|question)\b[^.!?]{0,30}\b(?:include|add|mention|say|write|begin|end|insert)\b"
    r"|\b(?:include|add|insert|append|put)\b[^.!?]{0,10}\bthe (?:phrase|words?|link|sentence|text|url)\b[^.!?]{0,60}"
    r"\b(?:your|every|each|all) (?:answer|reply|response|summary|output)"
    r"|\brepeat the (?:following|next) (?:sentence|words?|text|phrase)",
    re.IGNORECASE,
)
_ORDERS = (
    _MARKED_TURN,
    _SET_ASIDE,
    _SPEAK_AS_MODEL,
    _SAY_THIS,
    _CALLED_BY_NAME,
    _SET_A_NEW_TASK,
    _DICTATE_THE_ANSWER,
)


def instructs_a_model(sentence: str) -> bool:
    """Whether a sentence is an order to a language model rather than something a document tells its readers."""
    return any(pattern.search(sentence) is not None for pattern in _ORDERS)

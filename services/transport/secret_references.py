"""Settings that lie elsewhere: values like `secretsmanager:NAME_OR_ARN[#json_key]` and `ssm:/path`.

    OPENAI_API_KEY=secretsmanager:diglot/models#openai      one key of a secret that holds a JSON object
    DATABASE_URL=ssm:/diglot/database-url                   a parameter, decrypted

They are read once, when settings are: each secret once, all of them at the same time. What they hold never becomes part
of the environment, which child processes inherit, nor of an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

SECRET_PREFIX = "secretsmanager:"  # noqa: S105 -- says where secrets lie, and is none
PARAMETER_PREFIX = "ssm:"

_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@:-]{1,512}")
_PARAMETER_NAME = re.compile(r"[A-Za-z0-9_./:-]{1,2048}")
_PARAMETERS_A_CALL = 10  # as many as SSM takes
_READ_TIMEOUT_SECONDS = 3
_ATTEMPTS = 2
_TIMEOUT_SECONDS = 8.0  # in all: Lambda ends an initialisation that takes ten
_MAX_CONCURRENT_CALLS = 8

_NO_ACCESS = "this process may not read it: allow {action} on it, and kms:Decrypt on the key it is encrypted with"
_NO_ANSWER = "{service} did not answer in time: check the network, in a VPC also the endpoint of {service}"
_NO_CREDENTIALS = "AWS credentials or a region are missing or not valid: set AWS_REGION and give the process a role"
_CREDENTIAL_ERRORS = frozenset(
    {
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "UnrecognizedClientException",
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "NoRegionError",
    }
)
_FORBIDDEN_ERRORS = frozenset(
    {"AccessDenied", "AccessDeniedException", "DecryptionFailure", "InvalidKeyId", "KMSAccessDeniedException"}
)


@dataclass(frozen=True)
class _Found:
    """What one secret or parameter holds, or why it cannot be told."""

    text: str = ""
    fault: str = ""


def resolve_references(references: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The values that variables refer to, and for each of the others a sentence on what is wrong and what to do.

    Args:
        references: the variables whose values are references, with these values.
    Returns: variable → value, and variable → fault; the faults name variable and reference, never a value.
    """
    malformed = {variable: told for variable, told in references.items() if not _is_well_formed(told)}
    wanted = {_place_of(told) for variable, told in references.items() if variable not in malformed}
    found = _fetch(wanted) if wanted else {}
    values: dict[str, str] = {}
    faults: dict[str, str] = {}
    for variable, told in references.items():
        if variable in malformed:
            faults[variable] = f"{variable}: {told} is no reference; {_example(variable, told)}"
            continue
        taken = _take(found[_place_of(told)], told)
        if taken.fault:
            faults[variable] = f"{variable}: {told} cannot be resolved: {taken.fault}"
        else:
            # A file's last line break, which tools that make secrets of files take along.
            values[variable] = taken.text.rstrip("\r\n")
    return values, faults


def _is_well_formed(told: str) -> bool:
    if told.startswith(SECRET_PREFIX):
        name, mark, key = told.removeprefix(SECRET_PREFIX).partition("#")
        return _SECRET_NAME.fullmatch(name) is not None and bool(key) == bool(mark)
    return _PARAMETER_NAME.fullmatch(told.removeprefix(PARAMETER_PREFIX)) is not None


def _example(variable: str, told: str) -> str:
    form = (
        f"{SECRET_PREFIX}diglot/models#openai" if told.startswith(SECRET_PREFIX) else f"{PARAMETER_PREFIX}/diglot/key"
    )
    return f"write it as in {variable}={form}"


def _place_of(told: str) -> str:
    """The secret or parameter of a reference, without the key inside it."""
    return told.partition("#")[0]


def _take(found: _Found, told: str) -> _Found:
    """The part of a secret that a reference names; all of it when it names none."""
    _, mark, key = told.partition("#")
    if found.fault or not mark:
        return found
    try:
        document = json.loads(found.text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return _Found(fault=f"the secret is no JSON object: leave #{key} out, or store {{{json.dumps(key)}: …}}")
    value = document.get(key)
    if value is None:
        return _Found(fault=f"the secret has no key {key}: add it, or name another")
    return _Found(value if isinstance(value, str) else json.dumps(value))


def _fetch(places: Iterable[str]) -> dict[str, _Found]:
    """What each place holds, read at the same time. Imports boto3."""
    names = sorted(places)
    secrets = [name for name in names if name.startswith(SECRET_PREFIX)]
    parameters = [name for name in names if name.startswith(PARAMETER_PREFIX)]
    batches = [parameters[at : at + _PARAMETERS_A_CALL] for at in range(0, len(parameters), _PARAMETERS_A_CALL)]
    found: dict[str, _Found] = {}
    threads = ThreadPoolExecutor(_MAX_CONCURRENT_CALLS, thread_name_prefix="secrets")
    try:
        running: dict[Future[dict[str, _Found]], list[str]] = {}
        _start(threads, running, "secretsmanager", _read_secret, [[name] for name in secrets], found)
        _start(threads, running, "ssm", _read_parameters, batches, found)
        done, late = wait(running, timeout=_TIMEOUT_SECONDS)
        for future in done:
            found |= future.result()
        for future in late:
            service = _service_of(running[future][0])
            found |= dict.fromkeys(running[future], _Found(fault=_NO_ANSWER.format(service=service)))
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
    return found


def _start(
    threads: ThreadPoolExecutor,
    running: dict[Future[dict[str, _Found]], list[str]],
    kind: str,
    read: Callable[[Any, list[str]], dict[str, _Found]],
    batches: list[list[str]],
    found: dict[str, _Found],
) -> None:
    if not batches:
        return
    from botocore.exceptions import BotoCoreError

    from services.transport.aws_clients import make_boto_client

    try:
        client = make_boto_client(
            kind,
            read_timeout_seconds=_READ_TIMEOUT_SECONDS,
            max_concurrent_calls=_MAX_CONCURRENT_CALLS,
            max_attempts=_ATTEMPTS,
        )
    except BotoCoreError as error:
        for batch in batches:
            found |= dict.fromkeys(batch, _Found(fault=_why(error, batch[0])))
        return
    for batch in batches:
        running[threads.submit(_guarded, read, client, batch)] = batch


def _guarded(read: Callable[[Any, list[str]], dict[str, _Found]], client: Any, batch: list[str]) -> dict[str, _Found]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return read(client, batch)
    except (BotoCoreError, ClientError) as error:
        return dict.fromkeys(batch, _Found(fault=_why(error, batch[0])))


def _read_secret(client: Any, batch: list[str]) -> dict[str, _Found]:
    (place,) = batch
    reply = client.get_secret_value(SecretId=place.removeprefix(SECRET_PREFIX))
    text = reply.get("SecretString")
    return {place: _Found(text) if text is not None else _Found(fault="the secret holds bytes: store it as text")}


def _read_parameters(client: Any, batch: list[str]) -> dict[str, _Found]:
    reply = client.get_parameters(Names=[place.removeprefix(PARAMETER_PREFIX) for place in batch], WithDecryption=True)
    texts: dict[str, str] = {}
    for parameter in reply["Parameters"]:
        # A parameter may have been asked for by its name, its name and version, or its ARN.
        named = (parameter["Name"], parameter["Name"] + parameter.get("Selector", ""), parameter.get("ARN", ""))
        texts |= dict.fromkeys(named, parameter["Value"])
    unknown = _Found(fault="there is no such parameter in this account and region: create it, or name another")
    return {
        place: _Found(texts[name]) if (name := place.removeprefix(PARAMETER_PREFIX)) in texts else unknown
        for place in batch
    }


def _why(error: Exception, place: str) -> str:
    """What is wrong and what to do. AWS's own text is left out: it names accounts and roles."""
    response = getattr(error, "response", None)
    code = str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else type(error).__name__
    if code in _CREDENTIAL_ERRORS:
        return _NO_CREDENTIALS
    if code in _FORBIDDEN_ERRORS:
        is_secret = place.startswith(SECRET_PREFIX)
        return _NO_ACCESS.format(action="secretsmanager:GetSecretValue" if is_secret else "ssm:GetParameters")
    if code == "ResourceNotFoundException":
        return "there is no such secret in this account and region: create it, or name another"
    if code == "InvalidRequestException":
        return "the secret is marked for deletion: restore it, or name another"
    if response is None:
        return _NO_ANSWER.format(service=_service_of(place))
    return f"{_service_of(place)} refused with {code}"


def _service_of(place: str) -> str:
    return "Secrets Manager" if place.startswith(SECRET_PREFIX) else "Systems Manager"

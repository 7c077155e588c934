"""Why a release or a rollback stops; each message is written for the person who reads the pipeline's log.

ReleaseError              the text says what to do about it
├── AwsRefused            AWS answered a call with an error, or could not be reached
├── FunctionMissing       a function, or its alias `live`, is not there
├── ImageMissing          an image or a version to run is not there
├── VersionUnfit          a new version could not be built, or does not answer
├── ErrorRateTooHigh      callers saw too many failures of a new version
├── ReleaseUnderWay       another release has begun and not ended
├── ReleaseRepeated       a release of the same name has been there already
├── AliasMoved            somebody else changed an alias meanwhile
└── RollbackIncomplete    some aliases could not be set back

Interrupted               the program was told to stop; no Exception, for the SDK would take that for a failed call
"""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

_FORBIDDEN = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "KMSAccessDeniedException"})
_UNKNOWN_CALLER = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_THROTTLED = frozenset({"TooManyRequestsException", "Throttling", "ThrottlingException", "RequestLimitExceeded"})


class ReleaseError(Exception):
    """A release or rollback cannot go on."""


class AwsRefused(ReleaseError):
    """A call to AWS failed."""


class FunctionMissing(ReleaseError):
    """There is no such function, or it has no alias `live`."""


class ImageMissing(ReleaseError):
    """There is no such image or version."""


class VersionUnfit(ReleaseError):
    """A version cannot be built or does not answer."""


class ErrorRateTooHigh(ReleaseError):
    """The canary failed too often."""


class ReleaseUnderWay(ReleaseError):
    """Another release holds the stack."""


class ReleaseRepeated(ReleaseError):
    """The release's name is taken."""


class AliasMoved(ReleaseError):
    """An alias is not as it was read."""


class Interrupted(BaseException):
    """A signal asked for the end."""


class RollbackIncomplete(ReleaseError):
    """Some aliases are not back."""


def code_of(error: ClientError) -> str:
    """AWS's name of an error, "ResourceConflictException" for one."""
    return str(error.response.get("Error", {}).get("Code", ""))


def explained(error: ClientError | BotoCoreError, doing: str) -> AwsRefused:
    """An error of AWS as a sentence with the way out. `doing` completes "cannot …"."""
    if not isinstance(error, ClientError):
        told = str(error).rstrip(".")
        return AwsRefused(f"cannot {doing}: {told}. Check network, credentials (AWS_PROFILE, AWS_*) and AWS_REGION.")
    code, operation = code_of(error), error.operation_name
    message = str(error.response.get("Error", {}).get("Message", "")) or code
    if code in _FORBIDDEN:
        way_out = f"The caller may not {operation}: allow that action to the role this runs as."
    elif code in _UNKNOWN_CALLER:
        way_out = (
            "AWS does not accept these credentials: renew them (aws sts get-caller-identity shows whose they are)."
        )
    elif code in _THROTTLED:
        way_out = "AWS throttled the call several times: wait a minute and run this again."
    elif code == "ResourceNotFoundException":
        way_out = "Check --prefix and AWS_REGION; a new account needs the stack first (deploy/README.md)."
    elif "media type" in message:
        way_out = "Lambda takes no attestation manifests: build with `docker buildx build --provenance=false`."
    else:
        way_out = f"AWS calls it {code}."
    return AwsRefused(f"cannot {doing}: {message} {way_out}")

"""A running emulator, as its `endpoint.json` names it, for the judges that drive it."""

import json
import sys
import traceback
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


class Endpoint:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.__dict__.update(json.load(file))

    def client(self, service, **overrides):
        """A boto3 client that sends each request once, so that a refusal is seen as it is."""
        settings = {
            "endpoint_url": self.endpoint,
            "region_name": self.region,
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
            "config": Config(retries={"total_max_attempts": 1}, max_pool_connections=32),
        }
        return boto3.client(service, **{**settings, **overrides})

    def environment(self):
        """What any AWS client reads to come here and nowhere else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }


def unique(prefix):
    """A name that no earlier run of a judge has used."""
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def expect(what, found, wanted):
    if found != wanted:
        raise AssertionError(f"{what}: expected {wanted!r}, found {found!r}")


def refused(call, codes, status=None, message=None, **arguments):
    """The call must fail with one of the error codes; returns the error's message."""
    codes = {codes} if isinstance(codes, str) else set(codes)
    shown = {k: v if len(repr(v)) < 80 else "…" for k, v in arguments.items()}
    try:
        call(**arguments)
    except ClientError as error:
        code, text = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        http = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code not in codes or (status is not None and http != status) or (message and message not in text):
            raise AssertionError(f"{shown}: expected {sorted(codes)} {status or ''} {message or ''}, "
                                 f"found {code} {http}: {text}") from None
        return text
    raise AssertionError(f"{shown}: expected {sorted(codes)}, but it was accepted")


def run_checks(checks, only=None):
    """Runs each check (a function and its arguments); says which failed, and exits 1 if any did."""
    failed = []
    for check, *arguments in checks:
        name = check.__name__
        if only and name not in only:
            continue
        try:
            check(*arguments)
            print(f"ok      {name}", flush=True)
        except Exception as error:  # each check is judged by itself
            failed.append(name)
            own = isinstance(error, AssertionError)
            detail = str(error) if own else "".join(traceback.format_exception(error)[-3:])
            print(f"WRONG   {name}: {detail}", file=sys.stderr, flush=True)
    if failed:
        print(f"{len(failed)} of {len(checks)} wrong: {', '.join(failed)}", file=sys.stderr)
        sys.exit(1)

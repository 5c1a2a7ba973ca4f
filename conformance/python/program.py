"""The official Python library: every step with its documented calls only.

Prints a JSON line a step. After `call-refused` it waits for a line on standard input: the grant.
"""

import importlib.metadata
import json
import sys

import google.auth
import google.auth.compute_engine
import google.auth.exceptions
import requests
from google.auth import identity_pool, impersonated_credentials
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2 import id_token, service_account

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]

with open(sys.argv[1], encoding="utf-8") as file:
    task = json.load(file)


def report(step, ok, detail):
    print(json.dumps({"step": step, "ok": ok, "detail": str(detail)}), flush=True)


def step(name):
    """Runs the function that follows: it answers with what came, and what should have."""

    def attempt(function):
        try:
            actual, expected = function()
            report(name, actual == expected, actual)
        except Exception as error:  # whatever went wrong is the step's result
            report(name, False, f"{type(error).__name__}: {error}")

    return attempt


def call_api(credentials):
    return AuthorizedSession(credentials).get(task["api"]).status_code


def call_service(token, header="Authorization", **others):
    headers = {header: f"Bearer {token}", **others}
    return requests.get(task["service"], headers=headers, timeout=30)


def id_token_of(credentials):
    credentials.refresh(Request())
    return credentials.token


packages = ["google-auth", "requests"]
report("version", True, ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages))

default, project = None, None


@step("metadata")
def _():
    global default, project
    default, project = google.auth.default(scopes=SCOPES)
    return type(default), google.auth.compute_engine.Credentials


@step("project-id")
def _():
    return project, task["projectId"]


@step("email")
def _():
    default.refresh(Request())
    return default.service_account_email, task["email"]


@step("access-token")
def _():
    return call_api(default), 200


token = None


@step("id-token")
def _():
    global token
    token = id_token.fetch_id_token(Request(), task["service"])
    return len(token.split(".")), 3


@step("call-refused")
def _():
    return call_service(token).status_code, 403


sys.stdin.readline()


@step("call-granted")
def _():
    return call_service(token).status_code, 200


@step("call-serverless")
def _():
    own = "Basic bWluZQ=="
    # A session sets no Authorization of its own, so this one is the caller's.
    response = call_service(token, "X-Serverless-Authorization", Authorization=own)
    return response.json().get("authorization"), own


@step("verify")
def _():
    def verify(audience):
        if task["endpoint"] is None:
            return id_token.verify_oauth2_token(token, Request(), audience)
        return id_token.verify_token(token, Request(), audience, f"{task['endpoint']}/oauth2/v1/certs")

    try:
        verify("https://another.example.com")
    except google.auth.exceptions.GoogleAuthError:
        return verify(task["service"])["email"], task["email"]
    except ValueError:
        return verify(task["service"])["email"], task["email"]
    return "another audience was taken", "refused"


def impersonate(source):
    options = {}
    if task["endpoint"] is not None:
        account = f"projects/-/serviceAccounts/{task['impersonate']}"
        options["iam_endpoint_override"] = f"{task['endpoint']}/v1/{account}:generateAccessToken"
    return impersonated_credentials.Credentials(
        source_credentials=source,
        target_principal=task["impersonate"],
        target_scopes=SCOPES,
        **options,
    )


def id_token_as(source):
    return id_token_of(
        impersonated_credentials.IDTokenCredentials(
            impersonate(source), target_audience=task["service"], include_email=True
        )
    )


@step("impersonate-access-token")
def _():
    return call_api(impersonate(default)), 200


@step("impersonate-id-token")
def _():
    return call_service(id_token_as(default)).status_code, 200


@step("key-access-token")
def _():
    return call_api(service_account.Credentials.from_service_account_file(task["keyFile"], scopes=SCOPES)), 200


@step("key-id-token")
def _():
    credentials = service_account.IDTokenCredentials.from_service_account_file(
        task["keyFile"], target_audience=task["service"]
    )
    return call_service(id_token_of(credentials)).status_code, 200


@step("federation-access-token")
def _():
    return call_api(identity_pool.Credentials.from_file(task["federationAsAccountFile"], scopes=SCOPES)), 200


@step("federation-id-token")
def _():
    source = identity_pool.Credentials.from_file(task["federationFile"], scopes=SCOPES)
    return call_service(id_token_as(source)).status_code, 200

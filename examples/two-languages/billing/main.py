"""A service in Python that calls another one, as on Cloud Run: GET / calls PEER_URL with an ID token, GET /hello answers."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import google.auth.transport.requests
import google.oauth2.id_token
import requests

PEER_URL = os.environ["PEER_URL"]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/hello":
            return self.answer("hello from billing, in Python\n")
        auth_request = google.auth.transport.requests.Request()
        token = google.oauth2.id_token.fetch_id_token(auth_request, PEER_URL)
        response = requests.get(
            f"{PEER_URL}/hello", headers={"Authorization": f"Bearer {token}"}, timeout=30
        )
        self.answer(f"orders answered {response.status_code}: {response.text}")

    def answer(self, text):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()

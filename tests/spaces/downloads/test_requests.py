"""Requests: redirects never leave HTTPS, and a refused certificate is said."""

import ssl
from http.client import HTTPMessage
from io import BytesIO
from urllib.error import HTTPError, URLError
from urllib.request import OpenerDirector, Request

import pytest

from spaces.downloads.requests import _WebRedirects, open_url
from spaces.errors import DownloadError


@pytest.mark.parametrize(
    ("before", "after", "is_followed"),
    [
        ("https://a/", "https://b/", True),
        ("http://a/", "https://b/", True),
        ("http://a/", "http://b/", True),
        ("https://a/", "http://b/", False),
    ],
)
def test_redirects_do_not_lead_from_https_to_http(
    before: str, after: str, is_followed: bool
) -> None:
    arguments = (Request(before), BytesIO(), 302, "Found", HTTPMessage(), after)
    if is_followed:
        found = _WebRedirects().redirect_request(*arguments)
        assert found is not None
        assert found.full_url == after
    else:
        with pytest.raises(HTTPError, match="not followed"):
            _WebRedirects().redirect_request(*arguments)


def test_certificate_that_is_refused_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = ssl.SSLCertVerificationError("no")
    refused.verify_message = "self-signed certificate"

    def fail(*_: object, **__: object) -> None:
        raise URLError(refused)

    monkeypatch.setattr(OpenerDirector, "open", fail)
    with pytest.raises(DownloadError, match=r"certificate is refused \(self-signed certificate\)"):
        open_url("https://localhost/file.bin")

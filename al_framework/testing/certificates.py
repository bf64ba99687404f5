"""Certificates for tests: a good one, and the ones that nobody should trust."""

import datetime as dt
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from al_framework.api import require

CertificateKind: TypeAlias = Literal["good", "expired", "wrong host", "unknown authority"]


def make_certificates(directory: Path) -> tuple[Path, Mapping[CertificateKind, ssl.SSLContext]]:
    """Return the file of a certificate authority, and contexts for servers on 127.0.0.1.

    All but ``unknown authority`` are issued by it.

    Args:
        directory: Where to write the file.

    Raises:
        MissingExtraError: The package trustme is not installed.
    """
    trustme: Any = require("trustme", extra="testing")
    authority, stranger = trustme.CA(), trustme.CA()
    file = directory / "authority.pem"
    authority.cert_pem.write_to_path(file)
    past = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
    expired = {"not_before": past, "not_after": past + dt.timedelta(days=1)}
    issued: dict[CertificateKind, Any] = {
        "good": authority.issue_cert("127.0.0.1", "localhost", "::1"),
        "expired": authority.issue_cert("127.0.0.1", "localhost", **expired),
        "wrong host": authority.issue_cert("elsewhere.test"),
        "unknown authority": stranger.issue_cert("127.0.0.1", "localhost"),
    }
    return file, {kind: _context(certificate) for kind, certificate in issued.items()}


def _context(certificate: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context

"""The instance metadata service, version 2 (AWS: "Use the Instance Metadata Service"): a part that other probes use."""

import http.client
import os

ADDRESS = "169.254.169.254"
TIMEOUT_S = 1.0  # elsewhere nothing answers at that address


class Absent(RuntimeError):  # noqa: N818  # what it is
    """There is nothing at a path: of a notice, that none was given."""


class Metadata:
    """A conversation with the service. `address` is HOST or HOST:PORT."""

    def __init__(self, address: str = "") -> None:
        if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            raise RuntimeError("AWS_EC2_METADATA_DISABLED is set on the host")
        self.address = address or ADDRESS
        self.headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        self.headers = {"X-aws-ec2-metadata-token": self.ask("PUT", "/latest/api/token")}

    def get(self, path: str) -> str:
        """Return what stands at a path below /latest/. Raises RuntimeError and OSError."""
        return self.ask("GET", "/latest/" + path)

    def ask(self, method: str, path: str) -> str:
        """Ask once, past every proxy."""
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, headers=self.headers)
            answer = connection.getresponse()
            body = answer.read(65536).decode("utf-8", "replace")
        finally:
            connection.close()
        if answer.status != http.client.OK:
            why = "the metadata service answered %s with status %d" % (path, answer.status)
            raise (Absent if answer.status == http.client.NOT_FOUND else RuntimeError)(why)
        return body

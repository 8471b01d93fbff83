"""S3 as the host sees it: with its own credentials, from its own place in the network.

Listing a bucket proves neither GetObject nor the right prefix, and HeadBucket proves nothing; so each action that the
pipeline needs is done, on the prefix it is needed for. What comes back is a list of attempts, in the words of S3.
"""

import re
import urllib.parse

PAGES = 5  # of 1,000 keys each: folder markers may stand before the first real object
ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")
MARK = b"pytest-pipeline write test "
ENTITIES = (("&quot;", '"'), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


def read(request: dict, parts: dict) -> dict:
    """Try every bucket's reads, or with "effects" its writes.

    Returns {"source", "key_ends", "access": [{"bucket", "prefix", "attempts", "left"}]}.
    """
    keys = parts["s3_credentials"]
    kind = "writes" if request["effects"] else "reads"
    stops = [(bucket, stop) for bucket in request["buckets"] for stop in bucket[kind]]
    try:
        credentials = keys.find(
            request["profile"],
            lambda: parts["metadata"].Metadata(request["metadata_address"]),
            network=request["network_credentials"],
        )
    except keys.Unusable as error:
        access = [untried(bucket, stop, request, error.code, str(error)) for bucket, stop in stops]
        return {"source": "", "key_ends": "", "access": access}
    region = request["region"] or keys.default_region() or "us-east-1"
    client = parts["s3_request"].Client(credentials, request)
    look = try_writing if request["effects"] else try_reading
    jobs = {
        number: lambda task=task: look(Place(client, task[0], region), task[1], request)
        for number, task in enumerate(stops)
    }
    found = parts["frame"].side_by_side(jobs, request["deadline_s"])
    access = []
    for number, (bucket, stop) in enumerate(stops):
        late = found[number].get("error", "")
        access.append(found[number].get("value") or untried(bucket, stop, request, "TimeoutError", late))
    return {"source": credentials["source"], "key_ends": credentials["key"][-4:], "access": access}


def untried(bucket: dict, stop: dict, request: dict, code: str, message: str) -> dict:
    """Return the answer for a prefix where nothing could be tried to the end."""
    action, key = ("s3:PutObject", stop["key"]) if request["effects"] else ("s3:ListBucket", "")
    tried = {
        "action": action, "resource": arn(bucket, key), "ok": False, "status": 0, "code": code, "message": message,
        "retries": 0, "region": "",
    }  # fmt: skip
    return {"bucket": bucket["name"], "prefix": stop["prefix"], "attempts": [tried], "left": []}


class Place:
    """A bucket, what was tried there, and the region it is really in once S3 has said so."""

    def __init__(self, client: object, bucket: dict, region: str) -> None:
        self.client = client
        self.bucket = bucket
        self.region = bucket["region"] or region
        self.attempts = []
        self.left = []

    def send(self, action: str, method: str, key: str = "", *, note: str = "", **more: object) -> object:
        """Send a request and note it as an attempt. Where no region was configured, the bucket's own is followed."""
        headers = dict(more.pop("headers", {}))
        if self.bucket["request_payer"]:
            headers["x-amz-request-payer"] = "requester"
        name = self.bucket["name"]
        answer = self.client.send(method, name, self.region, key=key, headers=headers, **more)
        elsewhere = answer.region and answer.region != self.region and answer.status in (301, 307, 400)
        if elsewhere and not self.bucket["region"]:
            self.region = answer.region
            answer = self.client.send(method, name, self.region, key=key, headers=headers, **more)
        self.attempts.append({
            "action": action, "resource": arn(self.bucket, key), "ok": answer.ok, "status": answer.status,
            "code": answer.code, "message": note + (": " if note and answer.message else "") + answer.message,
            "retries": answer.retries, "region": answer.region,
        })  # fmt: skip
        return answer

    def wrong(self, message: str) -> None:
        """Turn the last attempt, which S3 found right, into a failure."""
        self.attempts[-1].update(ok=False, code="WrongAnswer", message=message)

    def seen(self, prefix: str) -> dict:
        """Return the answer for a prefix."""
        return {"bucket": self.bucket["name"], "prefix": prefix, "attempts": self.attempts, "left": self.left}


def arn(bucket: dict, key: str) -> str:
    """Name a bucket or an object as a policy does."""
    region = bucket["region"] or ""
    partition = "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
    return "arn:%s:s3:::%s%s" % (partition, bucket["name"], "/" + key if key else "")


def tag(text: str, name: str) -> str:
    """Return what stands in an element of XML that holds plain text."""
    found = re.search("<%s>([^<]*)</%s>" % (name, name), text)
    value = found.group(1) if found else ""
    for entity, character in ENTITIES:
        value = value.replace(entity, character)
    return value


# --- reading


def try_reading(place: Place, stop: dict, request: dict) -> dict:
    """List a prefix up to its first real object, and get a byte of it.

    Where there is none, an absent key is asked for: who may list and get hears 404, and everybody else 403.
    """
    prefix = stop["prefix"]
    listing = list_prefix(place, prefix)
    if listing is None:
        return place.seen(prefix)
    key, keys, complete = listing
    if key:
        answer = place.send("s3:GetObject", "GET", key, headers={"range": "bytes=0-0"})
        if answer.ok and not answer.body:
            place.wrong("a 200 without a byte of %s, which the listing says has content" % key)
        return place.seen(prefix)
    more = "" if complete else ", and there are more"
    place.attempts[-1]["message"] = "no object with content among %d keys%s" % (keys, more)
    absent = prefix + ".pipeline-gate-" + request["nonce"]
    expect_absent(place, place.send("s3:GetObject", "GET", absent), absent)
    return place.seen(prefix)


def expect_absent(place: Place, answer: object, key: str) -> None:
    """Take NoSuchKey for what it proves here: that the key may be got."""
    if answer.code == "NoSuchKey":
        place.attempts[-1].update(ok=True, code="", message="")
    elif answer.ok:
        place.wrong("%s is answered with %d although it is not there" % (key, answer.status))


def list_prefix(place: Place, prefix: str) -> object:
    """Return the first real object's key ("" where there is none), the keys seen, and whether these were all.

    Folder markers (empty, or ending in a slash) are no objects. One that lies in an archive, and so cannot be got at
    once, is taken only where there is no other. Returns None where the prefix may not be listed.
    """
    query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
    archived, keys = "", 0
    for page in range(PAGES):
        answer = place.send("s3:ListBucket", "GET", query=query)
        if page and answer.ok:
            place.attempts.pop()  # one attempt speaks for all pages
        text = answer.body.decode("utf-8", "replace")
        if answer.ok and "<IsTruncated>" not in text:
            place.wrong("a 200 without the fields of a listing")
        if not place.attempts[-1]["ok"]:
            return None
        for item in re.findall(r"<Contents>(.*?)</Contents>", text, re.DOTALL):
            keys += 1
            key = urllib.parse.unquote_plus(tag(item, "Key"))
            if key.endswith("/") or tag(item, "Size") == "0":
                continue
            if tag(item, "StorageClass") not in ARCHIVED:
                return key, keys, tag(text, "IsTruncated") != "true"
            archived = archived or key
        if tag(text, "IsTruncated") != "true":
            return archived, keys, True
        query["continuation-token"] = tag(text, "NextContinuationToken")
    return archived, keys, False


# --- writing


def try_writing(place: Place, stop: dict, request: dict) -> dict:
    """Prove that a prefix may be written: by an upload in parts that is given up at once, which leaves no object.

    At the one prefix that the bucket's probe key belongs to, an object is written and read back too.
    """
    key = stop["key"]
    protection = {}
    if place.bucket["kms_key"]:
        protection = {
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id": place.bucket["kms_key"],
        }
    if stop["whole"] and not put_and_read_back(place, key, protection, request["nonce"]):
        return place.seen(stop["prefix"])
    try_multipart(place, key, protection)
    if stop["whole"] and place.bucket["deletes"] and place.send("s3:DeleteObject", "DELETE", key).ok:
        gone = place.send("s3:GetObject", "GET", key, note="after deleting")
        expect_absent(place, gone, key)
        if place.attempts[-1]["ok"]:
            place.attempts.pop()
            place.left.remove(key)
    return place.seen(stop["prefix"])


def put_and_read_back(place: Place, key: str, protection: dict, nonce: str) -> bool:
    """Put an object, get it back and compare. Returns whether it was put."""
    content = MARK + nonce.encode("ascii") + b"\n"
    put = place.send("s3:PutObject", "PUT", key, body=content, headers=protection)
    if not 400 <= put.status < 500:  # noqa: PLR2004  # S3 itself did not refuse: it may be there
        place.left.append(key)
    if not put.ok:
        return False
    back = place.send("s3:GetObject", "GET", key, note="reading back")
    # Another gate may have written there since: the key is the same for all.
    others = back.headers.get("etag") != put.headers.get("etag") and back.body.startswith(MARK)
    if back.ok and back.body != content and not others:
        place.wrong("read-back differs: wrote %d bytes, read %d others" % (len(content), len(back.body)))
    return True


def try_multipart(place: Place, key: str, protection: dict) -> None:
    """Begin an upload in parts, which takes s3:PutObject, and abort it."""
    note = "CreateMultipartUpload"
    began = place.send("s3:PutObject", "POST", key, query={"uploads": ""}, headers=protection, note=note)
    upload = tag(began.body.decode("utf-8", "replace"), "UploadId") if began.ok else ""
    if began.ok and not upload:
        place.wrong(note + ": a 200 without an UploadId")
    if upload and not place.send("s3:AbortMultipartUpload", "DELETE", key, query={"uploadId": upload}).ok:
        place.left.append(key + "?uploadId=" + upload)

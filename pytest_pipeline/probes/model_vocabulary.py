"""How far the tokens of a vocabulary go, by the format of its file.

Sources: sentencepiece_model.proto in google/sentencepiece (a ModelProto has its pieces in field 1, how it was trained
in field 2), and protobuf's encoding; tekken.json as mistral-common reads it; tiktoken/load.py in openai/tiktoken.
"""

import json
import re

PIECE = 10  # field 1, with a length
TRAINED = 18  # field 2, with a length
FIXED = {1: 8, 5: 4}  # bytes of a wire type
VARINT, WITH_LENGTH = 0, 2
MORE = 128  # a byte of a varint that is not its last
VARINT_BYTES = 10
FIELDS_LIMIT = 2**21  # the largest vocabularies have an eighth of it
MERGES = re.compile(rb'"merges"\s*:\s*\[')
END = re.compile(rb"\]\s*\}\s*\}\s*\Z")
END_BYTES = 256
RANK = re.compile(rb"[A-Za-z0-9+/]+={0,2} (\d{1,9})\s*\Z")
TEKKEN_SIZE = re.compile(rb'"default_vocab_size"\s*:\s*(\d{1,9})\b')
TEKKEN_END = re.compile(rb"[\]}]\s*\}\s*\Z")  # an entry of its vocabulary ends otherwise


class Odd(Exception):  # noqa: N818  # what the file is
    """Why a vocabulary is none: a defect, and the reason."""


def without_merges(raw: bytes) -> bytes:
    """Return tokenizer.json with no merges, or as it is where they are not its end.

    They are most of its bytes, and nothing in them is compared: to parse them takes longer than all else of a look.
    """
    merges, end = MERGES.search(raw), END.search(raw, max(0, len(raw) - END_BYTES))
    if merges is None or end is None or b"\0" in raw:  # zeros are what a download leaves that broke off
        return raw
    return raw[: merges.end()] + raw[end.start() :]


def in_tokenizer(tokenizer: dict) -> tuple:
    """Return the largest token of a tokenizer.json and the largest that it adds, None for none. Raises Odd."""
    model = tokenizer.get("model")
    if not isinstance(model, dict):
        raise Odd("malformed", "it has no model")
    largest = in_names(model.get("vocab"))
    if largest is None:
        raise Odd("malformed", "its model has no vocabulary")
    added = tokenizer.get("added_tokens") or []
    if not isinstance(added, list) or not all(isinstance(one, dict) and type(one.get("id")) is int for one in added):
        raise Odd("malformed", "its added_tokens are none")
    return largest, max((one["id"] for one in added), default=None)


def in_names(vocabulary: object) -> object:
    """Return the largest token of a vocabulary as JSON has it, None where it is none."""
    if isinstance(vocabulary, list):  # of pairs, the place being the token
        return len(vocabulary) - 1 if vocabulary else None
    if not isinstance(vocabulary, dict) or not vocabulary:
        return None
    try:
        largest = max(vocabulary.values())
    except TypeError:
        return None
    return largest if type(largest) is int else None


def in_tekken(raw: bytes) -> int:
    """Return the largest token of a tekken.json: it lists more than it has. Raises Odd."""
    at = raw.find(b'"default_vocab_size"')
    size = TEKKEN_SIZE.match(raw, at) if at >= 0 else None
    if size is None or b'"vocab"' not in raw:
        raise Odd("malformed", "it has no vocabulary with a default_vocab_size")
    if b"\0" in raw or not TEKKEN_END.search(raw, max(0, len(raw) - END_BYTES)):
        try:
            json.loads(raw.decode("utf-8"))  # 15 MB take their time
        except (ValueError, RecursionError) as error:
            raise Odd("truncated", "it is no JSON: %s" % str(error)[:120])  # noqa: B904  # the cause is said
    return int(size.group(1)) - 1


def in_model(raw: bytes) -> int:
    """Return the largest token of a file that is sentencepiece's, or tiktoken's under such a name. Raises Odd."""
    return in_pieces(raw) if raw[0] == PIECE else in_ranks(raw)


def in_ranks(raw: bytes) -> int:
    """Return the last token of a file of tiktoken's: lines of a token in base64 and its number. Raises Odd."""
    first, last = raw.partition(b"\n")[0], raw.rstrip().rpartition(b"\n")[2]
    if not RANK.match(first):
        raise Odd("malformed", "it is no vocabulary: it begins with %r" % raw[:20])
    ranked = RANK.match(last)
    if not ranked:
        raise Odd("truncated", "it breaks off inside a line")
    return int(ranked.group(1))


def in_pieces(raw: bytes) -> int:
    """Return the largest token of a sentencepiece model: its pieces are numbered as they stand. Raises Odd."""
    pieces, fields, at, size, trained = 0, 0, 0, len(raw), False
    try:
        while at < size:
            fields += 1
            if fields > FIELDS_LIMIT:
                raise Odd("malformed", "it has more than %d fields" % FIELDS_LIMIT)
            if raw[at] == PIECE and raw[at + 1] < MORE:  # nearly all of them, and so without a call
                at += 2 + raw[at + 1]
                pieces += 1
                continue
            tag, at = varint(raw, at)
            pieces += tag == PIECE
            trained = trained or tag == TRAINED
            at = behind(raw, tag, at)
    except IndexError:
        at = size + 1
    if at > size:
        raise Odd("truncated", "it ends inside its piece or field %d, after %d bytes" % (fields, size))
    if not trained:
        raise Odd("truncated", "it ends after its pieces, and before how it was trained")
    return pieces - 1


def behind(raw: bytes, tag: int, at: int) -> int:
    """Return where the value of a field ends that begins here. Raises Odd, and IndexError at the end of the bytes."""
    wire = tag & 7
    if tag >> 3 and wire in FIXED:
        return at + FIXED[wire]
    if tag >> 3 and wire in (VARINT, WITH_LENGTH):
        value, at = varint(raw, at)
        return at + value if wire == WITH_LENGTH else at
    raise Odd("malformed", "it is no sentencepiece model: nothing known stands at byte %d" % at)


def varint(raw: bytes, at: int) -> tuple:
    """Return a number of protobuf's and where it ends. Raises Odd, and IndexError at the end of the bytes."""
    value = 0
    for place in range(VARINT_BYTES):
        value |= (raw[at + place] & (MORE - 1)) << 7 * place
        if raw[at + place] < MORE:
            return value, at + place + 1
    raise Odd("malformed", "it is no sentencepiece model: a number without an end stands at byte %d" % at)

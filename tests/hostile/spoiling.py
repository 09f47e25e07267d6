"""Spoils protobuf messages, gRPC's framing and HTTP/2's frames, by a seed."""

import gzip
from random import Random

from frames import (
    CANCEL,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Headers,
    block,
    frame,
    message,
)
from hpack.hpack import encode_integer

MOST_BYTES = 12_000  # of a spoiled message: below what a server takes unasked
LENGTHS = (0, 1, 127, 2**7, 2**14, 2**21, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
TEXTS = (
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\0",
    b"\xf4\x90\x80\x80",
    "İ🎬".encode(),
    b"x" * 900,
)
BOMB_BYTES = 4_000_000  # that some compressed messages unpack to


def varint(number: int) -> bytes:
    """
    >>> varint(300)
    b'\\xac\\x02'
    """
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))


def field(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def spoiled_message(body: bytes, random: Random) -> bytes:
    """A message spoiled in one to three ways."""
    for _ in range(random.choice((1, 1, 2, 3))):
        body = _spoiled_once(body, random)[:MOST_BYTES]
    return body


def _spoiled_once(body: bytes, random: Random) -> bytes:
    at = random.randrange(len(body) + 1)
    number = random.choice((1, 1, 2, 3, 4, 5, 15, 16, 2**29 - 1))
    match random.randrange(10):
        case 0:  # cut off
            return body[:at]
        case 1:  # bytes changed
            return body[:at] + random.randbytes(random.choice((1, 1, 2, 8))) + body[at + 1 :]
        case 2:  # a length that lies
            return body[:at] + varint(number << 3 | 2) + varint(random.choice(LENGTHS)) + body[at:]
        case 3:  # a wrong or unknown wire type
            return varint(number << 3 | random.randrange(8)) + body
        case 4:  # text that is none
            return body + field(number, random.choice(TEXTS))
        case 5:  # many elements of nothing
            return body + field(number, b"") * random.choice((1, 100, 4097))
        case 6:  # many levels
            for _ in range(random.choice((1, 10, 101, 1000))):
                body = field(number, body)
            return body
        case 7:  # groups that are never closed
            return body + varint(number << 3 | 3) * random.choice((1, 50, 5000))
        case 8:  # any number
            return body + varint(number << 3) + varint(random.choice(LENGTHS))
        case _:  # again
            return body + body[at:] * random.choice((1, 2, 50))


def spoiled_framing(body: bytes, random: Random) -> tuple[bytes, Headers]:
    """What a call sends around a message, and more headers, of which one or both lie."""
    encoding = random.choice((b"gzip", b"gzip", b"deflate", b"identity", b"snappy", b"\xff"))
    headers = random.choice(((), ((b"grpc-encoding", encoding),)))
    flag = random.choice((0, 1, 1, 1, 2, 7, 255))
    length = random.choice((None, None, 0, len(body) + 1, 2**24, 2**31, 2**32 - 1))
    match random.randrange(5):
        case 0:
            body = gzip.compress(body)
        case 1:
            body = gzip.compress(body)[: random.randrange(30)]
        case 2:
            body = gzip.compress(bytes(random.choice((1000, BOMB_BYTES))), 1)[:MOST_BYTES]
        case 3:
            return (message(body) * random.choice((2, 3, 50)))[:MOST_BYTES], headers
    sent = message(body, flag, length)
    return (sent, sent[: random.randrange(len(sent))], b"")[random.randrange(3)], headers


def conversation(headers: Headers, body: bytes) -> list[bytes]:
    """The frames of a caller who does everything that is allowed."""
    part = block(headers)
    half = len(part) // 2
    return [
        PREFACE,
        frame(SETTINGS, payload=b"\0\4\0\1\0\0"),
        frame(WINDOW_UPDATE, payload=(2**20).to_bytes(4)),
        frame(HEADERS, END_HEADERS, 1, part),
        frame(DATA, 0, 1, message(body)[:3]),
        frame(DATA, END_STREAM, 1, message(body)[3:]),
        frame(PING, payload=b"12345678"),
        frame(HEADERS, 0, 3, part[:half]),
        frame(CONTINUATION, END_HEADERS, 3, part[half:]),
        frame(PRIORITY, 0, 3, b"\0\0\0\0\7"),
        frame(DATA, END_STREAM | 8, 3, b"\4" + message(body) + b"\0\0\0\0"),
        frame(HEADERS, END_HEADERS, 5, part),
        frame(DATA, 0, 5, message(body)),
        frame(RST_STREAM, 0, 5, CANCEL),
        frame(SETTINGS, 1),
        frame(HEADERS, END_HEADERS | END_STREAM, 7, part),
    ]


def spoiled_frames(frames: list[bytes], random: Random) -> list[bytes]:
    """Frames spoiled in one to three ways, the preface once in a while."""
    frames = list(frames)
    for _ in range(random.choice((1, 1, 2, 3))):
        at = random.randrange(0 if random.random() < 0.05 else 1, len(frames))
        match random.randrange(8):
            case 0:
                frames[at] = _changed(frames[at], random)
            case 1:
                frames[at] = _header_changed(frames[at], random)
            case 2:
                del frames[at]
            case 3:
                frames.insert(at, frames[random.randrange(len(frames))])
            case 4:
                other = random.randrange(len(frames))
                frames[at], frames[other] = frames[other], frames[at]
            case 5:
                frames.insert(at, _odd(random))
            case 6:
                frames.insert(at, _flood(random))
            case _:
                frames[at] = frames[at][: random.randrange(len(frames[at]) + 1)]
    return frames


def _changed(whole: bytes, random: Random) -> bytes:
    at = random.randrange(len(whole) + 1)
    return whole[:at] + random.randbytes(random.choice((1, 1, 2, 9))) + whole[at + 1 :]


def _header_changed(whole: bytes, random: Random) -> bytes:
    """Change length, kind, flags or stream of a frame, if it has them all."""
    if len(whole) < 9:
        return whole
    length, kind, flags = int.from_bytes(whole[:3]), whole[3], whole[4]
    stream, payload = int.from_bytes(whole[5:9]), whole[9:]
    match random.randrange(4):
        case 0:
            length = random.choice((0, 1, length + 1, max(0, length - 1), 16_385, 2**24 - 1))
        case 1:
            kind = random.choice((*range(10), 10, 99, 255))
        case 2:
            flags = random.choice((0, 1, 4, 5, 8, 32, 255))
        case 3:
            stream = random.choice((0, 1, 2, 3, 5, 99, 2**31 - 1, 2**31, 2**32 - 1))
    return frame(kind, flags, stream, payload, length)


def _odd(random: Random) -> bytes:
    """A frame that nobody sends."""
    stream = random.choice((0, 1, 3, 5, 2**31 - 1))
    payload = random.randbytes(random.choice((0, 1, 4, 5, 6, 8, 9, 300)))
    big = (2**31 - 1).to_bytes(4)
    return random.choice(
        (
            frame(random.randrange(12), random.randrange(256), stream, payload),
            frame(WINDOW_UPDATE, 0, stream, bytes(4)),
            frame(WINDOW_UPDATE, 0, stream, big) * 2,
            frame(SETTINGS, payload=b"\0\4" + b"\xff" * 4),
            frame(SETTINGS, payload=b"\0\1" + big + b"\0\5" + bytes(4)),
            frame(SETTINGS, payload=b"\0\1\0\0\0\0"),
            frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2"),
            frame(GOAWAY, payload=bytes(8)),
            frame(HEADERS, END_HEADERS, 9, random.randbytes(30)),  # no HPACK
            frame(HEADERS, END_HEADERS, 9, b"\x3f" + bytes(encode_integer(2**30, 5))),
            frame(HEADERS, END_HEADERS | 8, 9, b"\xff"),  # more padding than there is
        )
    )


def _flood(random: Random) -> bytes:
    """Many frames of one kind, few enough for a second."""
    count = random.choice((20, 100, 1000))
    stream = random.choice((1, 5, 11))
    return random.choice(
        (
            frame(PING, payload=b"12345678") * count,
            frame(SETTINGS, payload=b"\0\4\0\1\0\0") * count,
            frame(RST_STREAM, 0, stream, CANCEL) * count,
            frame(WINDOW_UPDATE, 0, stream, b"\0\0\0\1") * count,
            frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1") * count,
            frame(PRIORITY, 0, stream, b"\0\0\0\0\7") * count,
            frame(DATA, 0, stream) * count,
            frame(HEADERS, 0, 11) + frame(CONTINUATION, 0, 11) * count,
        )
    )

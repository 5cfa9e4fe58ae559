"""An RTSP camera of one stream, as RFC 2326 and RFC 6184 have it, over TCP; for one client."""

from __future__ import annotations

import base64
import re
import socket
import struct
import threading
import time


class RtspCamera:
    """Sends packets (Annex B, H.264) at `rate` a second to every client, then hangs up.

    Parameter sets are in the description alone, as many cameras have it.
    """

    def __init__(self, packets: list[bytes], rate: float = 30.0) -> None:
        self._units = [_units(packet) for packet in packets]
        self._setup = [unit for unit in self._units[0] if unit[0] & 31 in (7, 8)]
        self._rate = rate
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://127.0.0.1:{self._socket.getsockname()[1]}/camera"
        self.clients = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            self.clients += 1
            try:
                with client:
                    self._talk(client)
            except OSError:
                pass

    def _talk(self, client: socket.socket) -> None:
        received = b""
        while True:
            while b"\r\n\r\n" not in received:
                part = client.recv(4096)
                if not part:
                    return
                received += part
            request, _, received = received.partition(b"\r\n\r\n")
            method = request.split()[0].decode()
            number = re.search(rb"CSeq: *(\d+)", request)[1].decode()
            extra, body = "", ""
            if method == "OPTIONS":
                extra = "Public: DESCRIBE, SETUP, PLAY\r\n"
            elif method == "DESCRIBE":
                sets = ",".join(base64.b64encode(unit).decode() for unit in self._setup)
                body = (
                    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
                    f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}\r\n"
                    "a=control:track\r\n"
                )
                extra = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
            elif method == "SETUP":
                extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
            elif method == "PLAY":
                extra = "Session: 1\r\n"
            client.sendall(f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{extra}\r\n{body}".encode())
            if method == "PLAY":
                self._play(client)
                return

    def _play(self, client: socket.socket) -> None:
        sequence = 0
        for number, units in enumerate(self._units):
            pictures = [unit for unit in units if unit[0] & 31 in (1, 5)]
            for unit in pictures:
                parts = list(_fragments(unit))
                for part in parts:
                    last = unit is pictures[-1] and part is parts[-1]
                    stamp = number * 90000 // round(self._rate)
                    kind = 96 | (0x80 if last else 0)
                    rtp = struct.pack(">BBHII", 0x80, kind, sequence & 0xFFFF, stamp, 7) + part
                    client.sendall(struct.pack(">cBH", b"$", 0, len(rtp)) + rtp)
                    sequence += 1
            time.sleep(1 / self._rate)


def _units(packet: bytes) -> list[bytes]:
    return [unit.rstrip(b"\0") for unit in re.split(b"\0\0\1", packet) if unit.strip(b"\0")]


def _fragments(unit: bytes, most: int = 1200):
    """A unit as it is, or as FU-A."""
    if len(unit) <= most:
        yield unit
        return
    kind, body = unit[0], unit[1:]
    for start in range(0, len(body), most):
        flags = (0x80 if start == 0 else 0) | (0x40 if start + most >= len(body) else 0)
        yield bytes([kind & 0xE0 | 28, flags | kind & 31]) + body[start : start + most]

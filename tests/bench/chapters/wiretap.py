"""What is on the wire, with the kernel's time: a packet socket on a host of its
own. All moments are those of the wall clock, in seconds."""

import contextlib
import socket
import struct
import time

ETH_P_IP = 0x0800
PROTOCOL_UDP, PROTOCOL_VRRP = 17, 112
SOL_PACKET, ADD_MEMBERSHIP, PROMISCUOUS = 263, 1, 1
SO_TIMESTAMPNS = 35


class Wiretap:
    """Who says that it is master: claims and advertisements."""

    def __init__(self, host):
        with host.inside():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
            self.socket.bind(("eth0", ETH_P_IP))
            index = socket.if_nametoindex("eth0")
        self.socket.setsockopt(SOL_PACKET, ADD_MEMBERSHIP,
                               struct.pack("iHH8s", index, PROMISCUOUS, 0, b""))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

    def drain(self):
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.socket.recv(2048)

    def masters(self, seconds):
        """Yields (moment, address) for each word of a master, for so long."""
        end = time.time() + seconds
        while (left := end - time.time()) > 0:
            self.socket.settimeout(left)
            try:
                packet, told, _, _ = self.socket.recvmsg(2048, 256)
            except (TimeoutError, socket.timeout):
                return
            address = master_of(packet)
            if address:
                yield moment_of(told), address

    def next_other(self, old, seconds, after=0.0):
        """The moment of the first word of a master that is not `old`."""
        for moment, address in self.masters(seconds):
            if address != old and moment >= after:
                return moment
        return None

    def close(self):
        self.socket.close()


def moment_of(told):
    for level, kind, data in told:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, ns = struct.unpack("qq", data[:16])
            return seconds + ns / 1e9
    return time.time()


def master_of(packet):
    """The source, if the packet is a master's word."""
    header = (packet[0] & 15) * 4
    source, payload = socket.inet_ntoa(packet[12:16]), packet[header:]
    if packet[9] == PROTOCOL_VRRP:
        # Priority 0 is a farewell; ucarp's CARP has the same number and version 2.
        return source if payload[2] > 0 or payload[0] >> 4 == 2 else None
    if packet[9] == PROTOCOL_UDP and payload[8:10] == b"! ":
        return source
    return None

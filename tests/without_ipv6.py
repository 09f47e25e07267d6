"""Runs a command as on a kernel without IPv6 (`ipv6.disable=1`): `without_ipv6.py COMMAND ...`.

A filter of system calls, which needs no rights, lets every socket of that family fail as there.
"""

import ctypes
import errno
import os
import platform
import socket
import struct
import sys

_SOCKET = {"x86_64": 41, "aarch64": 198}  # the number of the system call
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2
_LOAD, _IS_EQUAL, _RETURN = 0x20, 0x15, 0x06  # instructions of BPF
_NUMBER, _FIRST_ARGUMENT = 0, 16  # offsets in what a filter is given
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _take_away() -> None:
    """Let no socket of IPv6 be made by this process or what it runs."""
    instructions = b"".join(
        struct.pack("HBBI", *instruction)
        for instruction in (
            (_LOAD, 0, 0, _NUMBER),
            (_IS_EQUAL, 0, 3, _SOCKET[platform.machine()]),
            (_LOAD, 0, 0, _FIRST_ARGUMENT),
            (_IS_EQUAL, 0, 1, socket.AF_INET6),
            (_RETURN, 0, 0, _FAIL | errno.EAFNOSUPPORT),
            (_RETURN, 0, 0, _ALLOW),
        )
    )
    program = _Program(len(instructions) // 8, instructions)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or prctl(_SECCOMP, _FILTER, ctypes.byref(program)):
        raise OSError(ctypes.get_errno(), "no filter of system calls")


if __name__ == "__main__":
    _take_away()
    os.execv(sys.argv[1], sys.argv[1:])

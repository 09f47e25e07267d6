"""Bearer tokens: who may call what, how the file is read, and that no token is ever shown."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sentido_server.core.faults import Fault, PermissionDenied, Unauthenticated
from sentido_server.security.bearer import Access
from sentido_server.security.reloading_file import FileError

CALL, ADMIN, OTHER = "call-token-0123456789", "admin-token-0123456789", "other-token-0123456789"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(f"# who may call\n\ncall {CALL}\n  admin\t{ADMIN}\n")
    return path


def outcome(access: Access, admin: bool, *tokens: str) -> str:
    """What becomes of a call with these tokens: "" if it may be made."""
    metadata = [("x-other", "x"), *(("authorization", token) for token in tokens)]
    try:
        access.check("Rpc", admin, metadata)
    except Fault as fault:
        shown = [token for token in tokens if token and token in fault.message]
        return " ".join([type(fault).__name__, *shown])
    return ""


@pytest.mark.parametrize(
    ("tokens", "call", "admin"),
    [
        ([f"Bearer {CALL}"], "", "PermissionDenied"),
        ([f"bearer  {CALL}"], "", "PermissionDenied"),
        ([f"Bearer {ADMIN}"], "", ""),
        ([], "Unauthenticated", "Unauthenticated"),
        ([f"Bearer {OTHER}"], "Unauthenticated", "Unauthenticated"),
        ([f"Bearer {CALL[:-1]}"], "Unauthenticated", "Unauthenticated"),
        ([f"Bearer {CALL}x"], "Unauthenticated", "Unauthenticated"),
        (["Bearer "], "Unauthenticated", "Unauthenticated"),
        ([""], "Unauthenticated", "Unauthenticated"),
        ([CALL], "Unauthenticated", "Unauthenticated"),
        ([f"Basic {CALL}"], "Unauthenticated", "Unauthenticated"),
        ([f"Bearer {CALL}", f"Bearer {CALL}"], "Unauthenticated", "Unauthenticated"),
        (["Bearer é"], "Unauthenticated", "Unauthenticated"),
    ],
)
def test_a_token_opens_what_its_role_may(
    tokens: list[str], call: str, admin: str, file: Path
) -> None:
    access = Access(file)
    assert outcome(access, False, *tokens) == call
    assert outcome(access, True, *tokens) == admin


def test_without_a_token_file_all_but_admin_calls_are_open() -> None:
    access = Access(None)
    assert not access.asks
    access.check("Rpc", False, [])
    with pytest.raises(PermissionDenied, match="Rpc is off: the server has no token of the role"):
        access.check("Rpc", True, [("authorization", f"Bearer {ADMIN}")])


def test_without_an_admin_token_admin_calls_are_off_for_everyone(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"call {CALL}")
    access = Access(tmp_path / "tokens")
    assert outcome(access, True, f"Bearer {CALL}") == "PermissionDenied"
    assert outcome(access, True) == "PermissionDenied"


def test_a_file_that_changes_is_read_again_and_a_bad_change_is_not_taken(file: Path) -> None:
    access = Access(file)
    new = file.with_name("new")
    new.write_text(f"call {OTHER}\n")
    os.replace(new, file)
    assert outcome(access, False, f"Bearer {OTHER}") == ""
    assert outcome(access, False, f"Bearer {CALL}") == "Unauthenticated"
    for bad in ("", "call short\n", f"{CALL}\n", f"boss {CALL}\n"):
        new.write_text(bad)
        os.replace(new, file)
        assert outcome(access, False, f"Bearer {OTHER}") == ""
    file.unlink()
    assert outcome(access, False, f"Bearer {OTHER}") == ""
    file.write_text(f"call {CALL}\n")
    assert outcome(access, False, f"Bearer {CALL}") == ""
    with pytest.raises(Unauthenticated):
        access.check("Rpc", False, [("authorization", f"Bearer {OTHER}")])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CALL.encode(), "line 1 of the token file {} is not a role, call or admin, and a token of"),
        (f"call {CALL}\nroot {OTHER}".encode(), "line 2 of the token file {} is not a role"),
        (b"call 0123456789abcde", "line 1 of the token file {} is not a role"),
        (f"call {CALL} {OTHER}".encode(), "line 1 of the token file {} is not a role"),
        (f"call {CALL}\0".encode(), "line 1 of the token file {} is not a role"),
        (b"# nothing\n", "the token file {} holds no token"),
        (b"call \xff\xff", "the token file {} is not UTF-8"),
    ],
)
def test_what_is_wrong_with_a_token_file_is_said_without_a_token(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(content)
    with pytest.raises(FileError) as caught:
        Access(path)
    assert str(caught.value).startswith(message.format(path))
    assert "token-0123" not in str(caught.value)


def test_a_token_file_that_others_can_write_or_that_is_missing_is_refused(file: Path) -> None:
    file.chmod(0o602)
    with pytest.raises(FileError, match="can be written by everyone: chmod o-w"):
        Access(file)
    file.unlink()
    with pytest.raises(FileError, match="cannot read the token file "):
        Access(file)


def test_a_token_file_that_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path):
        with pytest.raises(FileError, match=f"the token file {path} is not a regular file"):
            Access(path)


def test_a_token_file_of_any_size_is_refused_without_reading_it_all(file: Path) -> None:
    os.truncate(file, 1 << 40)  # of which the disk holds nothing
    with pytest.raises(FileError, match=r"the token file .* has over 16,777,216 bytes"):
        Access(file)


def test_rotating_tokens_while_calls_are_checked_refuses_none_and_ends_with_the_last(
    file: Path,
) -> None:
    access = Access(file)
    rotated = threading.Event()

    def check() -> set[str]:
        outcomes = set()
        while not rotated.is_set():
            outcomes.add(outcome(access, False, f"Bearer {CALL}"))
        return outcomes

    new = file.with_name("new")
    with ThreadPoolExecutor(4) as threads:
        checks = [threads.submit(check) for _ in range(4)]
        for length in range(16, 116):  # the size of each file is its own
            new.write_text(f"call {CALL}\ncall {'x' * length}\n")
            os.replace(new, file)
        rotated.set()
    assert set.union(*(check.result() for check in checks)) <= {""}
    assert outcome(access, False, f"Bearer {'x' * 115}") == ""
    assert outcome(access, False, f"Bearer {'x' * 114}") == "Unauthenticated"

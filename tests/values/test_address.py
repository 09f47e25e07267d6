"""Which addresses are the machine's own."""

import pytest
from sentido_server.address import check_address, is_local


@pytest.mark.parametrize(
    "listen", ["127.0.0.1:0", "127.9.8.7:50051", "localhost:0", "[::1]:50051", "unix:/tmp/a:1"]
)
def test_an_address_that_only_this_machine_reaches_is_local(listen: str) -> None:
    assert is_local(listen)


@pytest.mark.parametrize(
    "listen",
    [
        *("0.0.0.0:0", "[::]:50051", "192.0.2.1:1", "[2001:db8::1]:1", "[fe80::1%1]:1"),
        *("[::ffff:192.0.2.1]:1", "nowhere.invalid:1", "a..b:1", f"{'a' * 64}.b:1"),
    ],
)
def test_any_other_address_is_not_local_and_neither_is_a_name_without_one(listen: str) -> None:
    assert not is_local(listen)


@pytest.mark.parametrize("port", ["\u0660", "\uff10", "0\u0661", "1_0", "+1", "9" * 5000, "65536"])
def test_a_port_is_a_number_in_ascii(port: str) -> None:
    check_address("127.0.0.1:0")
    with pytest.raises(ValueError, match="an address and a port are needed"):
        check_address(f"127.0.0.1:{port}")

from clipsweep.cluster.ray_cluster.http2 import frame, grpc_call, kind_of


def test_a_frame_says_its_length_kind_flags_and_stream() -> None:
    assert frame(1, 4, 1, b"abc") == b"\0\0\3\1\4\0\0\0\1abc"  # RFC 9113, section 4.1


def test_the_kind_of_an_answer_is_that_of_its_first_frame() -> None:
    assert [kind_of(frame(4, 0, 0, b"")), kind_of(b"SSH-2.0"), kind_of(b"")] == [4, ord("-"), None]


def test_a_header_is_written_with_its_lengths() -> None:
    assert b"\0\x0dauthorization\x08Bearer x" in grpc_call("/a/B", "head", {"authorization": "Bearer x"})


def test_the_length_of_a_long_header_takes_several_bytes() -> None:
    # RFC 7541, section 5.1: 1337 in a prefix of seven bits is 127, then 1210 as 58 + 128 and 9
    assert b"\x7f" + bytes([58 + 128, 9]) + b"x" * 1337 in grpc_call("/a/B", "head", {"authorization": "x" * 1337})


def test_a_call_ends_with_an_empty_message() -> None:
    assert grpc_call("/a/B", "head", {}).endswith(b"\0\0\5\0\1\0\0\0\1\0\0\0\0\0")

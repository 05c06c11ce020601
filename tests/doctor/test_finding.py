from xformer.doctor.finding import Finding, size


def test_a_line_ends_in_its_verdict() -> None:
    found = Finding("disk", "cache", "/tmp, 1.0 GiB free", "set XFORMER_CACHE", "warning")
    assert found.line(6) == "warning  cache   /tmp, 1.0 GiB free: set XFORMER_CACHE"
    assert found.to_json()["state"] == "warning"


def test_sizes_are_in_powers_of_two() -> None:
    assert [size(n) for n in (0, 1023, 1536, 3 << 30, 2 << 40)] == [
        "0 bytes",
        "1023 bytes",
        "1.5 KiB",
        "3.0 GiB",
        "2.0 TiB",
    ]

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.errors import OutputError
from edge_fer.runtime.outputs.address import parse_address, rate_option, require_options

TEXTS = st.text(max_size=12).filter(lambda text: text.strip("/") == text)


@given(user=TEXTS, password=TEXTS, path=TEXTS, value=TEXTS)
def test_whatever_is_percent_encoded_comes_back(user, password, path, value):
    parts = (
        quote(part.encode(errors="replace"), safe="") for part in (user, password, path, value)
    )
    address = parse_address("mqtt://{}:{}@host:1883/{}?ca={}".format(*parts))
    assert (address.scheme, address.host, address.port) == ("mqtt", "host", 1883)
    expected = (part.encode(errors="replace").decode() for part in (user, password, path, value))
    assert (address.user, address.password, address.path, address.options["ca"]) == tuple(expected)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_one_clear_error(text):
    try:
        parse_address(text)
    except OutputError as error:
        assert "not an address" in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "mqtt://robot:hunter2@host/a",
        "mqtt://robot:hunter2@host/a?rate=nan",
        "mqtt://robot:hunter2@host/a?bad=1",
        "mqtt://robot:hunter2@host:99999/a",
        "mqtt://robot:hunter2/x@host/a",
        "mqtt://robot:hunter2[@host/a",
        "mqtt://robot:hunter2@host/a?rate",
        "mqtt://robot:hunter2@host/%ff",
    ],
)
def test_a_password_is_in_no_text_and_no_message(url):
    try:
        address = parse_address(url)
        texts = [str(address), repr(address)]
        require_options(address, {"rate"})
        rate_option(address)
    except OutputError as error:
        texts = [str(error)]
        assert error.__suppress_context__ or error.__context__ is None
    assert not any("hunter2" in text for text in texts)


def test_as_text_it_is_a_url_again():
    assert str(parse_address("mqtt://u:p@[::1]:1883/a/b/?rate=5")) == "mqtt://[::1]:1883/a/b"
    assert str(parse_address("ros2:///faces")) == "ros2:///faces"


@pytest.mark.parametrize(
    ("query", "rate_hz"), [("", 10.0), ("?rate=0", 0.0), ("?rate=2.5", 2.5), ("?rate=1000", 1000.0)]
)
def test_rates(query, rate_hz):
    assert rate_option(parse_address(f"mqtt://host/a{query}")) == rate_hz


@pytest.mark.parametrize("rate", ["-1", "fast", "1001", "nan", "inf", ""])
def test_bad_rates_are_refused(rate):
    with pytest.raises(OutputError, match="rate must be"):
        rate_option(parse_address(f"mqtt://host/a?rate={rate}"))

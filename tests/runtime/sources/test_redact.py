import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.runtime.sources.redact import redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://host:554/live", "rtsp://host:554/live"),
        ("rtsp://me:geheim@host/live", "rtsp://***@host/live"),
        ("rtsp://me:ge@heim@host/live", "rtsp://***@host/live"),
        ("http://host/x?token=geheim", "http://host/x?***"),
        ("http://host/x?token=gehe@im", "http://***"),
        ("rtsp://me:gehe?im@host/x", "rtsp://***"),
        ("gst:rtspsrc location=rtsp://me:g@h ! x", "gst:rtspsrc location=rtsp://***@h ! x"),
        ("rtspsrc user-id=me user-pw=geheim ! x", "rtspsrc user-id=me user-pw=*** ! x"),
        ('src password = "ge heim" ! x', "src password = *** ! x"),
        ("face.jpg", "face.jpg"),
        ("me@host", "me@host"),
    ],
)
def test_secrets_are_masked_and_nothing_else(text, shown):
    assert redact(text) == shown


@given(st.text("SECRT?/#@:%&=;", min_size=1), st.sampled_from(["rtsp", "https"]))
def test_no_character_of_a_password_is_shown(password, scheme):
    shown = redact(f"error at {scheme}://user:{password}@camera.local:80/live, sorry")
    assert not set("SECRT") & set(shown)
    assert "user" not in shown

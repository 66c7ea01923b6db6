import pytest

from tests.arm.debian import MIRROR

DEB822 = "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\n"


@pytest.mark.parametrize(
    ("text", "mirror"),
    [
        (DEB822, "http://mirror.example/debian"),
        ("# deb http://no/debian x\ndeb http://a.example/debian/ bookworm main\n",
         "http://a.example/debian/"),
        ("deb [signed-by=/k.gpg] https://b.example/debian bookworm main\n",
         "https://b.example/debian"),
        (DEB822.replace("/debian", "/debian-security") + DEB822, "http://mirror.example/debian"),
        ("deb http://archive.ubuntu.example/ubuntu noble main\n", None),
    ],
    ids=["deb822", "one line", "options", "security first", "another system"],
)  # fmt: skip
def test_the_mirror_of_this_machine_is_found(text, mirror):
    found = MIRROR.search(text)
    assert (found[1] if found else None) == mirror

"""What is written on pictures has letters in Pillow's own font."""

import pytest
from PIL import ImageFont

from redeg_cli.io.lettering import drawable


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Ω of élan ×2, σ = 3 – 4°", "omega of elan x2, sigma = 3 - 4°"),
        ("Großmutter.jpg", "Grossmutter.jpg"),
        ("blur · noise", "blur | noise"),
        ("a\u0308 ½ 漢字…", "a ? ??…"),
        ("", ""),
    ],
)
def test_letters_that_the_font_lacks_are_spelt(text: str, wanted: str) -> None:
    assert drawable(text) == wanted
    font = ImageFont.load_default(14)
    missing = bytes(font.getmask("\uffff"))
    assert all(bytes(font.getmask(letter)) != missing for letter in wanted if letter != " ")

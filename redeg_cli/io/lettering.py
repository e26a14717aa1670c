"""Text on pictures, in the font that Pillow brings: it has ASCII and hardly more."""

import unicodedata

_SPELT = {
    "Ω": "omega",
    "σ": "sigma",
    "×": "x",
    "²": "2",
    "→": "->",
    "–": "-",
    "—": "-",
    "ß": "ss",
    "·": "|",
}
_KNOWN = "°±…"


def drawable(text: str) -> str:
    """Return ``text`` with what that font has no letters for spelt otherwise, at last as ``?``."""
    spelt = "".join(_SPELT.get(letter, letter) for letter in text)
    kept = []
    for letter in spelt:
        plain = letter if letter in _KNOWN else unicodedata.normalize("NFKD", letter)
        plain = "".join(part for part in plain if not unicodedata.combining(part))
        kept.append(plain if plain.isascii() or plain in _KNOWN else "?")
    return "".join(kept)

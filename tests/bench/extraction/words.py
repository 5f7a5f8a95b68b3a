"""How two texts of one file are compared: words that both have, and their order."""

import re
import unicodedata
from collections import Counter

# Han, kana and Bopomofo are compared by the character, everything else by the word.
IDEOGRAPHS = r"\u3041-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
TOKEN = re.compile(rf"[{IDEOGRAPHS}]|[^\W_{IDEOGRAPHS}]+")
# What an extractor writes for a glyph of which it does not know the character.
UNKNOWN = re.compile(r"\(cid:\d+\)|[\ufffd\ue000-\uf8ff\U000f0000-\U0010ffff]")
INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
# Arabic vowel signs and the stroke that widens words.
SIGNS = re.compile(r"[\u0640\u064b-\u065f\u0670]")


def tokens(text):
    """Words in compatibility form and lower case; ligatures and full-width letters become plain ones."""
    text = unicodedata.normalize("NFKC", INVISIBLE.sub("", UNKNOWN.sub(" ", text))).casefold()
    text = unicodedata.normalize("NFC", SIGNS.sub("", text))
    # A combining mark belongs to the letter before it, but is no letter to `re`.
    text = "".join(c if unicodedata.category(c) not in ("Mn", "Mc") else "" for c in text)
    return TOKEN.findall(text)


def common(left, right):
    """How many words both have, each as often as the one that has it less often."""
    return sum((Counter(left) & Counter(right)).values())


def longest_common_subsequence(left, right):
    """Its length, by the bit-parallel method: one addition of a long number a word."""
    places = {}
    for place, word in enumerate(left):
        places[word] = places.get(word, 0) | 1 << place
    every = (1 << len(left)) - 1
    free = every
    for word in right:
        taken = free & places.get(word, 0)
        free = (free + taken | free & ~taken) & every
    return len(left) - free.bit_count()


class Likeness:
    """Found: share of the reference's words; precision: share of ours that it has; order: share in its order."""

    def __init__(self, ours, reference):
        ours, reference = tokens(ours), tokens(reference)
        self.words, self.ours = len(reference), len(ours)
        self.both = common(ours, reference)
        self.in_order = longest_common_subsequence(reference, ours)
        self.found = self.both / self.words if self.words else 1.0
        self.precision = self.both / self.ours if self.ours else 1.0
        self.order = self.in_order / self.words if self.words else 1.0

"""The hashed embedder of `shared/vectors/src/hashed.rs` in numpy, equal to the bit: no loop over features in Python."""

import unicodedata

import numpy as np
import regex

DIMENSIONS = 1536
WORD, STOPWORD, THREE, FOUR, FIVE, ONE, TWO, THREE_CHARACTERS = range(8)
WEIGHTS = np.array([1.0, 0.15, 0.3, 0.35, 0.4, 0.35, 1.0, 0.8])
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
FINISHER = np.uint64(0xD6E8FEB86659FD93)
STOPWORDS = frozenset(
    """a about after all also an and any are as at be because been before but by can could did do does for from had has
    have how i if in into is it its may more most must no not of on one only or other our out over she should so some
    such than that the their them then there these they this those to up was we were what when where which who why will
    with would you your""".split()
)


def scripts():
    """What every code point is: 0 between words, 1 a letter of words, 2 an ideograph."""
    table = np.zeros(0x110000, np.uint8)
    everything = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000))))
    for match in regex.finditer(r"[\p{Alphabetic}\p{N}]+", everything):
        first, last = ord(match[0][0]), ord(match[0][-1])
        table[first : last + 1] = 1
    table[0xD800:0xE000] = 0
    for first, last in (
        (0x3041, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
        (0x1100, 0x11FF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
    ):  # fmt: skip
        table[first : last + 1] = 2
    return table


SCRIPTS = scripts()


def mix(value):
    value = value ^ (value >> np.uint64(25) | value << np.uint64(39)) ^ (value >> np.uint64(50) | value << np.uint64(14))
    value = value * FINISHER
    value ^= value >> np.uint64(28)
    value = value * FINISHER
    return value ^ (value >> np.uint64(28))


def hashes(octets, starts, lengths, kind):
    """`hash64` of every piece `octets[start : start + length]`."""
    if not len(starts):
        return np.empty(0, np.uint64)
    widest = int(lengths.max()) // 8 + 1
    places = np.arange(widest * 8)
    pieces = octets[np.minimum(starts[:, None] + places, len(octets) - 1)]
    pieces[places >= lengths[:, None]] = 0
    words = pieces.view("<u8")
    state = mix(np.uint64(kind) ^ (lengths.astype(np.uint64) + np.uint64(1)) * MULTIPLIER)
    whole = lengths // 8
    for word in range(widest):
        inside = word < whole
        mixed = (state ^ words[:, word]) * MULTIPLIER
        mixed ^= mixed >> np.uint64(32)
        state = np.where(inside, mixed, state)
    last = words[np.arange(len(starts)), whole]
    return mix(state ^ last) << np.uint64(3) | np.uint64(kind)


class Runs:
    """Texts that were put one behind the other, and the pieces of each."""

    def __init__(self, texts):
        joined = "".join(texts)
        self.octets = np.frombuffer(joined.encode(), np.uint8)
        points = np.frombuffer(joined.encode("utf-32-le"), np.uint32)
        widths = 1 + (points > 0x7F) + (points > 0x7FF) + (points > 0xFFFF)
        self.at = np.concatenate(([0], np.cumsum(widths)))
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        ends = np.repeat(np.cumsum(lengths), lengths)
        self.left = ends - np.arange(len(points))
        self.starts = np.cumsum(lengths) - lengths
        self.lengths = lengths

    def pieces(self, count, kind):
        starts = np.flatnonzero(self.left >= count)
        return hashes(self.octets, self.at[starts], self.at[starts + count] - self.at[starts], kind)

    def whole(self, kind):
        """Each text as one piece, by length, so that a long one does not widen all."""
        starts, ends = self.at[self.starts], self.at[self.starts + self.lengths]
        lengths = ends - starts
        short = lengths < 64
        return [hashes(self.octets, starts[some], lengths[some], kind) for some in (short, ~short)]


def features(text):
    folded = unicodedata.normalize("NFKC", text)
    # Rust lowers each character for itself; Python looks at the end of a word for a sigma.
    folded = "".join(map(str.lower, folded)) if "Σ" in folded else folded.lower()
    if not folded:
        return np.empty(0, np.uint64)
    kinds = SCRIPTS[np.frombuffer(folded.encode("utf-32-le"), np.uint32)]
    borders = np.concatenate(([0], np.flatnonzero(np.diff(kinds)) + 1, [len(kinds)]))
    plain, stop, ideographs = [], [], []
    for start, end in zip(borders[:-1].tolist(), borders[1:].tolist()):
        kind = kinds[start]
        if kind == 1:
            word = folded[start:end]
            (stop if word in STOPWORDS else plain).append(word)
        elif kind == 2:
            ideographs.append(folded[start:end])
    found = []
    if stop:
        found += Runs(stop).whole(STOPWORD)
    if plain:
        found += Runs(plain).whole(WORD)
        bordered = Runs([f"<{word}>" for word in plain])
        found += [bordered.pieces(count, kind) for count, kind in ((3, THREE), (4, FOUR), (5, FIVE))]
    if ideographs:
        runs = Runs(ideographs)
        found += [runs.pieces(count, kind) for count, kind in ((1, ONE), (2, TWO), (3, THREE_CHARACTERS))]
    return np.concatenate(found) if found else np.empty(0, np.uint64)


def embed(text):
    distinct, counts = np.unique(features(text), return_counts=True)
    weights = WEIGHTS[(distinct & np.uint64(7)).astype(np.intp)] * np.sqrt(counts.astype(np.float64))
    places = ((distinct >> np.uint64(3)) % np.uint64(DIMENSIONS)).astype(np.intp)
    weights[distinct >> np.uint64(63) == 1] *= -1
    sums = np.bincount(places, weights, DIMENSIONS)
    if not sums.any():
        sums[0] = 1.0
    values = sums.astype(np.float32)
    # Added one after the other, as Rust does: numpy's own sum adds in pairs.
    squares = values.astype(np.float64) ** 2
    length = np.sqrt(np.cumsum(squares)[-1])
    if abs(length - 1.0) > 1e-5:
        values = (values.astype(np.float64) / length).astype(np.float32)
    return values

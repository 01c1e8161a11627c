"""Greedy WordPiece over the checkpoint's `tokenizer.json`, as Hugging Face's and the engine's."""

import json
import re

PAD, UNKNOWN, END = 0, 1, 2


class Tokenizer:
    """Ids of a text: pieces, an end token, zeros up to `length`."""

    def __init__(self, path):
        with open(path) as file:
            self.vocab = json.load(file)["model"]["vocab"]

    def ids(self, text, length):
        pieces = [piece for word in words(text) for piece in self._pieces(word)]
        pieces = [*pieces[: length - 1], END]
        return pieces + [PAD] * (length - len(pieces))

    def _pieces(self, word):
        found, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            end = next((e for e in range(len(word), start, -1) if prefix + word[start:e] in self.vocab), None)
            if end is None:
                return [UNKNOWN]
            found.append(self.vocab[prefix + word[start:end]])
            start = end
        return found


def words(text):
    """Lower-case runs of letters and digits."""
    return re.findall(r"[a-z0-9]+", text.lower())

"""The terms of a whole prompt, as `src/retrieval/terms.ts` has them."""

from retrieval import PREPOSITIONS, folded, is_content, name_term

LONGEST_NAME = 16  # words


class EntityNames:
    """The names to look for in prompts."""

    def __init__(self, entities):
        self.names = {tuple(words) for entity in entities if (words := folded(entity))}

    def terms(self, prompt):
        """Content words, those of the subject twice, and the subject's whole name twice where it is an entity's."""
        words = folded(prompt)
        begin, end, name = self.subject(words)
        content = [word for word in words if is_content(word)]
        subject = [word for word in words[begin:end] if is_content(word)]
        return [*content, *subject, *([name_term(name)] * 2 if name else [])]

    def subject(self, words):
        """The first entity named (of names in a row the last), or all before the first preposition."""
        named, at = None, 0
        while at < len(words):
            name = self.longest(words, at)
            if name:
                named = (at, at + len(name), name)
                at += len(name)
            elif named or words[at] in PREPOSITIONS:
                break
            else:
                at += 1
        return named or (0, at, None)

    def longest(self, words, at):
        for end in range(min(len(words), at + LONGEST_NAME), at, -1):
            if tuple(words[at:end]) in self.names:
                return tuple(words[at:end])
        return None

"""What a scene is called: many phrasings of subject, size, count, second thing, place and background."""

from backgrounds import COLORS, SCENES

# Where a thing stands, as shares of half the picture from its middle.
POSITIONS = {
    "in the top left": (-0.45, -0.45),
    "in the top right": (0.45, -0.45),
    "in the bottom left": (-0.45, 0.45),
    "in the bottom right": (0.45, 0.45),
    "on the left": (-0.45, 0),
    "on the right": (0.45, 0),
    "at the top": (0, -0.45),
    "at the bottom": (0, 0.45),
}
SMALL, BIG = ("small", "tiny"), ("big", "huge")
COUNTS = {2: "two", 3: "three"}
SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]


def background_phrase(kind, rng):
    """`rng`: a random.Random."""
    if kind in SCENES:
        return rng.choice(SCENES[kind])
    return f"on a plain {kind} background" if rng.random() < 0.15 else f"on a {kind} background"


def scene_caption(name, kind, rng, size="", count=1, second="", position=""):
    """A caption; `second`: the name of the thing on the right, `position`: a key of POSITIONS."""
    subject = with_article(f"{size} {name}".strip()) if count == 1 else f"{COUNTS[count]} {plural(name)}"
    if count == 1 and not size and rng.random() < 0.1:
        subject = name
    if second:
        subject += rng.choice((" next to ", " next to ", " and ")) + with_article(second)
    background = background_phrase(kind, rng)
    middle = f" {position} " if position else " "
    form = rng.random()
    if form < 0.1:
        return f"{background}, {subject} {position}".strip()
    if form < 0.2:
        return f"a picture of {subject}{middle}{background}"
    return f"{subject}{middle}{background}"


def neighbour_caption(name, rng):
    """What a neighbour is said to show: mostly as the shipped database says it."""
    form = rng.random()
    return f"{name} emoji" if form < 0.8 else name if form < 0.9 else with_article(name)


def invented_name(rng):
    """A word that means nothing, so that only the neighbours tell what it is."""
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.choice((2, 2, 3))))


def with_article(name):
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def plural(name):
    if name.endswith(("s", "x", "ch", "sh")):
        return f"{name}es"
    return f"{name[:-1]}ies" if name.endswith("y") and name[-2] not in "aeiou" else f"{name}s"


def kinds():
    """Every background, colors first."""
    return [*COLORS, *SCENES]

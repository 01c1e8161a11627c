// Turns entities, tags and prompts into the terms that BM25 counts.

/** Names of entities, by their words as a prompt would fold them. */
export type EntityNames = ReadonlyMap<string, readonly string[]>;

// Words that say nothing about what is drawn.
const stopWords = new Set(foldedWords("a an the or of to is it its some this that s t"));
// Words after which a prompt speaks of where its subject is, or of what else is there.
const prepositions = new Set(
  foldedWords(
    "above against among and around at before behind below beneath beside between by in inside near next on outside over under with",
  ),
);
// In words; the longest in the shipped database has 8.
const longestName = 16;

/** The text's words, lower-case without accents, plurals folded: "Two Foxes" -> ["two", "fox"]. */
export function foldedWords(text: string): string[] {
  const plain = text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  return (plain.match(/[\p{L}\p{N}]+/gu) ?? []).map(foldPlural);
}

/** The terms of a picture: its entity's words twice (what it is outweighs what it is like), the whole name as a term, its tags. */
export function documentTerms(entity: string, tags: readonly string[]): string[] {
  const words = foldedWords(entity);
  const content = words.filter(isContent);
  return [...content, ...content, nameTerm(words), ...tags.flatMap(foldedWords).filter(isContent)];
}

/** The names to look for in prompts. */
export function entityNames(entities: Iterable<string>): EntityNames {
  const names = new Map<string, string[]>();
  for (const entity of entities) {
    const words = foldedWords(entity);
    if (words.length > 0) names.set(words.join(" "), words);
  }
  return names;
}

/**
 * The terms of a prompt; those of its subject come twice, so that "a moose in front of a mountain" finds the moose. The subject is
 * the first entity named, and its whole name is a term too ("guide dog" rather than "dog"; of names in a row the last, as in
 * "chicken sandwich"); where none is named, it is all before the first preposition.
 */
export function promptTerms(prompt: string, names: EntityNames): string[] {
  const words = foldedWords(prompt);
  const { begin, end, name } = findSubject(words, names);
  const content = words.filter(isContent);
  const subject = words.slice(begin, end).filter(isContent);
  return name ? [...content, ...subject, nameTerm(name), nameTerm(name)] : [...content, ...subject];
}

interface Subject {
  begin: number;
  end: number;
  name?: readonly string[];
}

function findSubject(words: readonly string[], names: EntityNames): Subject {
  let named: Subject | undefined;
  let at = 0;
  while (at < words.length) {
    const name = longestNameAt(words, at, names);
    if (name) {
      named = { begin: at, end: at + name.length, name };
      at += name.length;
    } else if (named || prepositions.has(words[at])) {
      break;
    } else {
      at++;
    }
  }
  return named ?? { begin: 0, end: at };
}

function longestNameAt(words: readonly string[], at: number, names: EntityNames): readonly string[] | undefined {
  for (let end = Math.min(words.length, at + longestName); end > at; end--) {
    const name = names.get(words.slice(at, end).join(" "));
    if (name) return name;
  }
  return undefined;
}

// Cannot meet a word: words hold no spaces or signs.
function nameTerm(words: readonly string[]): string {
  return `=${words.join(" ")}`;
}

function isContent(word: string): boolean {
  return !stopWords.has(word) && !prepositions.has(word);
}

// Not a stemmer: only brings singular and plural to one form, which need not be a word ("horse", "horses" -> "hors").
function foldPlural(word: string): string {
  if (word.length < 4) return word;
  return word
    .replace(/(?<![sui])s$/, "")
    .replace(/ie$/, "y")
    .replace(/[vf]e$/, "f")
    .replace(/(?<=[sxzo]|ch|sh)e$/, "");
}

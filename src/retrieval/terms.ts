// Turns entities, tags and prompts into the terms that BM25 counts.

/** Names of entities, by their words as a prompt would fold them. */
export type EntityNames = ReadonlyMap<string, readonly string[]>;

// Words that say nothing about what is drawn.
const stopWords = new Set("a an the and or of to is it its with some this that s t".split(" "));
// Words after which a prompt speaks of where its subject is, or of what else is there.
const prepositions = new Set(
  "above against among and around at before behind below beneath beside between by in inside near next on outside over under with".split(
    " ",
  ),
);

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
 * The terms of a prompt. Those of its subject come twice, and with it the name of the entity if it is one, so that
 * "a moose in front of a mountain" finds the moose: the subject reaches to the end of the first entity named ("guide dog", not "dog";
 * of names in a row the last, as in "chicken sandwich"), or else to the first preposition.
 */
export function promptTerms(prompt: string, names: EntityNames): string[] {
  const words = foldedWords(prompt);
  const { end, name } = findSubject(words, names);
  const subject = words.slice(0, end).filter(isContent);
  const whole = name ? [nameTerm(name), nameTerm(name)] : [];
  return [...subject, ...subject, ...whole, ...words.slice(end).filter(isContent)];
}

function findSubject(words: readonly string[], names: EntityNames): { end: number; name?: readonly string[] } {
  let name: readonly string[] | undefined;
  let at = 0;
  while (at < words.length) {
    const found = longestNameAt(words, at, names);
    if (found) {
      name = found;
      at += found.length;
    } else if (name || prepositions.has(words[at])) {
      break;
    } else {
      at++;
    }
  }
  return { end: at, name };
}

function longestNameAt(words: readonly string[], at: number, names: EntityNames): readonly string[] | undefined {
  for (let end = Math.min(words.length, at + longestName); end > at; end--) {
    const name = names.get(words.slice(at, end).join(" "));
    if (name) return name;
  }
  return undefined;
}

const longestName = 8;

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

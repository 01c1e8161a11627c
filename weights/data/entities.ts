// What the art shows: entities with names, tags and groups from Unicode CLDR, found by code point or by any name that an art set uses.
import { readPackage } from "./packages.ts";

/** Something that an emoji shows. */
export interface Entity {
  /** Lower-case code points joined by "-", without variation selectors: "1f9a5". */
  readonly codePoints: string;
  /** CLDR short name: "sloth". */
  readonly name: string;
  readonly tags: readonly string[];
  /** Unicode's group, as in "animals-nature". */
  readonly group: string;
  /** Place in Unicode's order. */
  readonly order: number;
}

/** Entities by their code points, and a search by name. */
export interface EntityTable {
  readonly byCodePoints: ReadonlyMap<string, Entity>;
  /** The entity that a name or a slug stands for, or undefined. */
  find(name: string): Entity | undefined;
}

// Things and beings that a scene can hold; flags, symbols and skin tones are not.
const groups = new Set([
  "smileys-emotion",
  "people-body",
  "animals-nature",
  "food-drink",
  "travel-places",
  "activities",
  "objects",
]);
const shortcodeFiles = ["cldr", "github", "joypixels", "iamcal", "emojibase", "emojibase-legacy"];
const aliasedSets = ["noto", "twemoji", "fluent-emoji-flat"];

interface EmojibaseEntry {
  hexcode: string;
  label: string;
  tags?: string[];
  group?: number;
  gender?: number;
  order?: number;
}

/** Icons of an art set as Iconify publishes them. */
export interface IconSet {
  icons: Record<
    string,
    { body: string; left?: number; top?: number; width?: number; height?: number; hidden?: boolean }
  >;
  aliases?: Record<string, { parent: string }>;
  width?: number;
  height?: number;
}

/** Reads CLDR's names and everything that the art sets call their pictures. */
export function readEntities(): EntityTable {
  const byCodePoints = readCldr();
  const byName = new Map<string, Entity>();
  const put = (name: string, codePoints: string) => {
    const entity = byCodePoints.get(codePoints);
    if (entity && !byName.has(key(name))) byName.set(key(name), entity);
  };
  // Earlier names win over later ones.
  for (const { name, codePoints } of byCodePoints.values()) put(name, codePoints);
  const slugs = aliasedSets.map((set) => readPackage<Record<string, string>>(`@iconify-json/${set}/chars.json`));
  for (const chars of slugs) for (const [code, slug] of Object.entries(chars)) put(slug, normal(code));
  aliasedSets.forEach((set, i) => {
    const codes = new Map(Object.entries(slugs[i]).map(([code, slug]) => [slug, normal(code)]));
    const { aliases = {} } = readPackage<IconSet>(`@iconify-json/${set}/icons.json`);
    for (const alias of Object.keys(aliases)) put(alias, codes.get(original(alias, aliases)) ?? "");
  });
  const named = readPackage<Record<string, { name: string }>>("unicode-emoji-json/data-by-emoji.json");
  for (const [emoji, { name }] of Object.entries(named)) put(name, codePointsOf(emoji));
  for (const file of shortcodeFiles) {
    const codes = readPackage<Record<string, string | string[]>>(`emojibase-data/en/shortcodes/${file}.json`);
    for (const [code, names] of Object.entries(codes)) for (const name of [names].flat()) put(name, normal(code));
  }
  return { byCodePoints, find: (name) => byName.get(key(name)) };
}

/** "1F9A5-FE0F" -> "1f9a5". */
export function normal(codePoints: string): string {
  const codes = codePoints.toLowerCase().split("-");
  return codes
    .filter((code) => code !== "fe0f")
    .map((code) => code.replace(/^0+/, ""))
    .join("-");
}

function readCldr(): Map<string, Entity> {
  const entries = readPackage<EmojibaseEntry[]>("emojibase-data/en/data.json");
  const { groups: names } = readPackage<{ groups: { key: string; order: number }[] }>(
    "emojibase-data/en/messages.json",
  );
  const groupNames = new Map(names.map(({ key, order }) => [order, key]));
  const table = new Map<string, Entity>();
  for (const { hexcode, label, tags = [], group: groupOrder = -1, gender, order = 0 } of entries) {
    const group = groupNames.get(groupOrder) ?? "";
    // Men's and women's versions draw nearly alike, and sequences of several emoji show more than one thing.
    if (!groups.has(group) || gender !== undefined || hexcode.includes("200D")) continue;
    const codePoints = normal(hexcode);
    table.set(codePoints, { codePoints, name: label, tags, group, order });
  }
  return table;
}

function original(alias: string, aliases: Record<string, { parent: string }>): string {
  let name = alias;
  while (aliases[name]) name = aliases[name].parent;
  return name;
}

function codePointsOf(emoji: string): string {
  return normal([...emoji].map((char) => char.codePointAt(0)!.toString(16)).join("-"));
}

function key(name: string): string {
  const plain = name.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  return plain.replaceAll("&", "and").replace(/[^a-z0-9]/g, "");
}

// Which drawing of which art set shows which entity.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Entity, type EntityTable, type IconSet, normal } from "./entities.ts";
import { packagePath, readPackage } from "./packages.ts";

/** One drawing. */
export interface Drawing {
  readonly style: string;
  readonly entity: Entity;
  /** The drawing's name in its set. */
  readonly slug: string;
  /** SVG text, or the path of a bitmap. */
  readonly source: { readonly svg: string } | { readonly file: string };
}

/** Art sets, and the families whose members draw an entity nearly alike. */
export const styles: readonly { readonly style: string; readonly family: string }[] = [
  { style: "noto", family: "noto" },
  { style: "noto-v1", family: "noto-v1" },
  { style: "twemoji", family: "twemoji" },
  { style: "emojione", family: "emojione" },
  { style: "fxemoji", family: "fxemoji" },
  { style: "fluent-emoji", family: "fluent" },
  { style: "fluent-emoji-flat", family: "fluent" },
  { style: "fluent-3d", family: "fluent" },
];

/** Every drawing of an entity of the table, at most one an entity and style, in the order of styles and entities. */
export function readArt(entities: EntityTable): Drawing[] {
  // Both Fluent sets name their drawings alike, and only the flat one lists their code points.
  const charted = [
    ["noto", "noto"],
    ["twemoji", "twemoji"],
    ["fluent-emoji", "fluent-emoji-flat"],
    ["fluent-emoji-flat", "fluent-emoji-flat"],
  ].flatMap(([style, chart]) => byCodePoints(style, chart, entities));
  const named = ["noto-v1", "emojione", "fxemoji"].flatMap((style) => byName(style, entities));
  // The package holds pictures of other origin too; those that Microsoft published are those that are also drawn as SVG.
  const published = new Set(charted.filter(({ style }) => style === "fluent-emoji").map(({ entity }) => entity));
  const modelled = fluent3d(entities).filter(({ entity }) => published.has(entity));
  const place = new Map(styles.map(({ style }, i) => [style, i]));
  return unique([...charted, ...named, ...modelled]).sort(
    (a, b) => place.get(a.style)! - place.get(b.style)! || a.entity.order - b.entity.order,
  );
}

function byCodePoints(style: string, chart: string, entities: EntityTable): Drawing[] {
  const set = readPackage<IconSet>(`@iconify-json/${style}/icons.json`);
  const chars = readPackage<Record<string, string>>(`@iconify-json/${chart}/chars.json`);
  return Object.entries(chars).flatMap(([code, slug]) => {
    const entity = entities.byCodePoints.get(normal(code));
    return entity && set.icons[slug] ? [{ style, entity, slug, source: { svg: svg(set, slug) } }] : [];
  });
}

function byName(style: string, entities: EntityTable): Drawing[] {
  const set = readPackage<IconSet>(`@iconify-json/${style}/icons.json`);
  const corrections = readCorrections()[style] ?? {};
  return Object.entries(set.icons).flatMap(([slug, { hidden }]) => {
    const name = slug in corrections ? corrections[slug] : slug;
    const entity = name === null || hidden ? undefined : entities.find(name);
    return entity ? [{ style, entity, slug, source: { svg: svg(set, slug) } }] : [];
  });
}

function fluent3d(entities: EntityTable): Drawing[] {
  const folder = packagePath("@lobehub/fluent-emoji-3d/assets");
  return readdirSync(folder).flatMap((file) => {
    const entity = entities.byCodePoints.get(normal(file.replace(/\.webp$/, "")));
    return entity ? [{ style: "fluent-3d", entity, slug: file, source: { file: join(folder, file) } }] : [];
  });
}

/** Names that the sets give their drawings and CLDR does not know, style by style; null where a drawing shows something else. */
function readCorrections(): Record<string, Record<string, string | null>> {
  return JSON.parse(readFileSync(new URL("names.json", import.meta.url), "utf8"));
}

function svg(set: IconSet, slug: string): string {
  const { body, left = 0, top = 0, width = set.width ?? 16, height = set.height ?? 16 } = set.icons[slug];
  // A square canvas with the drawing in its middle.
  const side = Math.max(width, height);
  const box = `${left - (side - width) / 2} ${top - (side - height) / 2} ${side} ${side}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="${box}" SIZE>${body}</svg>`;
}

function unique(drawings: readonly Drawing[]): Drawing[] {
  const seen = new Set<string>();
  return drawings.filter(({ style, entity }) => {
    const id = `${style}/${entity.codePoints}`;
    return !seen.has(id) && seen.add(id);
  });
}

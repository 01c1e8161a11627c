// Who attends to what: the segment tables of a request's attention, as plain data.
import type { ModelConfig } from "./config.ts";
import { tokensOf } from "./reimagen.ts";

/** What one evaluation of the U-Net is shown. */
export interface Shown {
  /** Row of its text and number of tokens in it. */
  readonly text: { readonly row: number; readonly length: number };
  /** First neighbour and how many. */
  readonly neighbors: { readonly first: number; readonly count: number };
}

/** Row and number of tokens, for each segment of each sample. */
type Table = Uint32Array<ArrayBuffer>;

/**
 * Values of the inputs `rows` and `table.*` of `reimagen`, but for those of short steps: an entry of `shown` an evaluation. `extent`: of x, height
 * and width.
 */
export function stepTables(
  config: ModelConfig,
  shown: readonly Shown[],
  extent: readonly [height: number, width: number] = [config.size, config.size],
): Map<string, Table> {
  const tokens = tokensOf(config, extent);
  const perNeighbor = tokensOf(config);
  const coarsest = tokens.length - 1;
  const tables = downTables(config, "table.down", shown, tokens);
  tables.set(
    "rows",
    Uint32Array.from(shown, ({ text }) => text.row),
  );
  const withNeighbors = (level: number, own: boolean) => (entry: Shown, sample: number) => [
    ...self(own, sample, tokens[level]!),
    [entry.text.row, entry.text.length],
    ...(config.neighbors ? [[entry.neighbors.first, entry.neighbors.count * perNeighbor[level]!]] : []),
  ];
  tables.set("table.middle", tableOf(shown, withNeighbors(coarsest, true)));
  config.up_attention.forEach((attends, level) => {
    if (attends) tables.set(`table.up.${level}`, tableOf(shown, withNeighbors(level, config.self_attention[level]!)));
  });
  return tables;
}

/** Values of the inputs `table.short.*`: an entry of `shown` a picture. `extent`: of x, height and width. */
export function shortTables(
  config: ModelConfig,
  shown: readonly Shown[],
  extent?: readonly [height: number, width: number],
): Map<string, Table> {
  return downTables(config, "table.short", shown, tokensOf(config, extent));
}

/** Values of the inputs `neighbor.table.*`: each neighbour sees its own caption. */
export function neighborTables(config: ModelConfig, captions: readonly Shown["text"][]): Map<string, Table> {
  const none = { first: 0, count: 0 };
  return downTables(
    config,
    "neighbor.table.down",
    captions.map((text) => ({ text, neighbors: none })),
    tokensOf(config),
  );
}

/** `tokens`: of the picture itself at each level. */
function downTables(
  config: ModelConfig,
  prefix: string,
  shown: readonly Shown[],
  tokens: readonly number[],
): Map<string, Table> {
  const tables = new Map<string, Table>();
  config.down_attention.forEach((attends, level) => {
    if (!attends) return;
    const segments = ({ text }: Shown, sample: number) => [
      ...self(config.self_attention[level]!, sample, tokens[level]!),
      [text.row, text.length],
    ];
    tables.set(`${prefix}.${level}`, tableOf(shown, segments));
  });
  return tables;
}

const self = (own: boolean, sample: number, tokens: number) => (own ? [[sample, tokens]] : []);

function tableOf(shown: readonly Shown[], segments: (entry: Shown, sample: number) => number[][]): Table {
  return Uint32Array.from(shown.flatMap((entry, sample) => segments(entry, sample).flat()));
}

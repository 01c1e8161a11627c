// A small single-stroke font, drawn for this project: labels on contact sheets need no font on the system.

/** One line of text, for `textPath`. */
export interface Label {
  readonly text: string;
  /** Left end of the baseline, in pixels. */
  readonly x: number;
  readonly y: number;
  /** Height of a capital, in pixels. */
  readonly height: number;
  /** CSS colour. */
  readonly color: string;
  /** Width of the stroke as a share of the height. Default 0.12. */
  readonly weight?: number;
}

/** Ink width and the SVG path of its strokes; capitals stand from y = 0 to 14, small letters from 4, descenders go to 18. */
type Glyph = readonly [width: number, path: string];

const capital = 14;
const gap = 3.4;
const space = 5.4;
const bowl = "a4 5 0 1 1 8 0a4 5 0 1 1 -8 0";

const glyphs: Readonly<Record<string, Glyph>> = {
  A: [11, "M0 14L5.5 0L11 14M2 9.4H9"],
  B: [8.6, "M0 0V14H4.8A3.8 3.8 0 0 0 4.8 6.4H0M4.4 6.4A3.2 3.2 0 0 0 4.4 0H0"],
  C: [9.9, "M9.9 2.8A5.5 7 0 1 0 9.9 11.2"],
  D: [10.5, "M0 0V14H3.5A7 7 0 0 0 3.5 0Z"],
  E: [8, "M8 0H0V14H8M0 6.8H7"],
  F: [7.6, "M7.6 0H0V14M0 6.8H6.8"],
  G: [10.6, "M9.9 2.8A5.5 7 0 1 0 10.6 9.6V7.4H6.5"],
  H: [9, "M0 0V14M9 0V14M0 6.8H9"],
  I: [0, "M0 0V14"],
  J: [6, "M6 0V11A3 3 0 0 1 0 11"],
  K: [9, "M0 0V14M8.6 0L0 8.4M3.2 5.4L9 14"],
  L: [7, "M0 0V14H7"],
  M: [11, "M0 14V0L5.5 9L11 0V14"],
  N: [9.5, "M0 14V0L9.5 14V0"],
  O: [11.4, "M0 7A5.7 7 0 1 1 11.4 7A5.7 7 0 1 1 0 7"],
  P: [8.6, "M0 14V0H4.6A4 4 0 0 1 4.6 8H0"],
  Q: [11.4, "M0 7A5.7 7 0 1 1 11.4 7A5.7 7 0 1 1 0 7M7.4 10.4L11.2 14.4"],
  R: [8.8, "M0 14V0H4.6A4 4 0 0 1 4.6 8H0M4.4 8L8.8 14"],
  S: [
    8.6,
    "M8.2 2.4C7.3 .8 6 0 4.2 0C1.9 0 .3 1.4 .3 3.5C.3 8.2 8.6 5.6 8.6 10.4C8.6 12.6 6.9 14 4.5 14C2.4 14 .9 13.1 0 11.3",
  ],
  T: [9, "M0 0H9M4.5 0V14"],
  U: [9, "M0 0V9.5A4.5 4.5 0 0 0 9 9.5V0"],
  V: [10, "M0 0L5 14L10 0"],
  W: [15, "M0 0L3.8 14L7.5 1.5L11.2 14L15 0"],
  X: [9, "M0 0L9 14M9 0L0 14"],
  Y: [9, "M0 0L4.5 7.4L9 0M4.5 7.4V14"],
  Z: [8.5, "M0 0H8.5L0 14H8.5"],
  a: [8, `M8 4V14M0 9${bowl}`],
  b: [8, `M0 0V14M0 9${bowl}`],
  c: [7.2, "M7.2 6A4 5 0 1 0 7.2 12"],
  d: [8, `M8 0V14M0 9${bowl}`],
  e: [8, "M.2 9H8A4 5 0 1 0 7 12.3"],
  f: [5, "M5 0H4.5A2.5 2.5 0 0 0 2 2.5V14M0 4.5H4.6"],
  g: [8, `M8 4V14.5A3.5 3.5 0 0 1 4.5 18H1.5M0 9${bowl}`],
  h: [7, "M0 0V14M0 7.5A3.5 3.5 0 0 1 7 7.5V14"],
  i: [0, "M0 4V14M0 .1v.01"],
  j: [2, "M2 4V15.8A2.2 2.2 0 0 1 -.2 18M2 .1v.01"],
  k: [7, "M0 0V14M6.6 4L0 10.5M2.6 8.2L7 14"],
  l: [0, "M0 0V14"],
  m: [12, "M0 4V14M0 7A3 3 0 0 1 6 7V14M6 7A3 3 0 0 1 12 7V14"],
  n: [7, "M0 4V14M0 7.5A3.5 3.5 0 0 1 7 7.5V14"],
  o: [8, `M0 9${bowl}`],
  p: [8, `M0 4V18M0 9${bowl}`],
  q: [8, `M8 4V18M0 9${bowl}`],
  r: [4.4, "M0 4V14M0 8A4 4 0 0 1 4.4 4.1"],
  s: [
    6.6,
    "M6.4 5.6C5.6 4.5 4.6 4 3.2 4C1.4 4 .2 5 .2 6.5C.2 9.9 6.6 8.1 6.6 11.5C6.6 13 5.2 14 3.4 14C1.8 14 .7 13.4 0 12.2",
  ],
  t: [5, "M2 1V11.5A2.5 2.5 0 0 0 4.5 14H5M0 4.5H4.8"],
  u: [7, "M0 4V10.5A3.5 3.5 0 0 0 7 10.5M7 4V14"],
  v: [8, "M0 4L4 14L8 4"],
  w: [12, "M0 4L3 14L6 4.8L9 14L12 4"],
  x: [7, "M0 4L7 14M7 4L0 14"],
  y: [8, "M0 4L4 14M8 4L3.4 15.6C2.7 17.3 1.9 18 .4 18"],
  z: [6.5, "M0 4H6.5L0 14H6.5"],
  0: [8, "M0 7A4 7 0 1 1 8 7A4 7 0 1 1 0 7"],
  1: [8, "M1.4 3L5 0V14"],
  2: [8, "M.3 3.9A3.7 3.9 0 0 1 7.6 3.9C7.6 6.6 5 8.6 0 14H8"],
  3: [8, "M.4 0H7.4L3.8 5.6A4.2 4.2 0 1 1 .1 11.8"],
  4: [8, "M6 14V0L0 9.8H8"],
  5: [8, "M7.2 0H1.4L.8 6.4C1.6 5.6 2.6 5.2 3.8 5.2A4.2 4.4 0 1 1 .1 11.8"],
  6: [8, "M6.6 .2C3 1.6 0 5.2 0 9.6A4 4.4 0 1 0 8 9.6A4 4.4 0 1 0 .1 8.8"],
  7: [8, "M0 0H8L2.8 14"],
  8: [8, "M4 6.4A3.4 3.2 0 1 1 4 0A3.4 3.2 0 1 1 4 6.4A4 3.8 0 1 1 4 14A4 3.8 0 1 1 4 6.4"],
  9: [8, "M1.4 13.8C5 12.4 8 8.8 8 4.4A4 4.4 0 1 0 0 4.4A4 4.4 0 1 0 7.9 5.2"],
  ".": [0, "M0 13.9v.01"],
  ",": [1, "M1 13.7L0 16.6"],
  ":": [0, "M0 5.5v.01M0 13.4v.01"],
  ";": [1, "M1 5.5v.01M1 13.4L0 16.4"],
  "!": [0, "M0 0V9.6M0 13.9v.01"],
  "?": [7, "M.2 3.6A3.4 3.5 0 1 1 5.4 6.6C4 7.6 3.5 8.4 3.5 10M3.5 13.9v.01"],
  "'": [0, "M0 0V3.6"],
  '"': [3, "M0 0V3.6M3 0V3.6"],
  "-": [5, "M0 8.6H5"],
  "+": [8, "M0 8.4H8M4 4.4V12.4"],
  "=": [8, "M0 6.4H8M0 10.4H8"],
  "~": [8, "M0 9.4C1.4 6.6 3 7.4 4 8.4C5 9.4 6.6 10.2 8 7.4"],
  _: [8, "M0 16H8"],
  "/": [6, "M6 -1L0 16"],
  "\\": [6, "M0 -1L6 16"],
  "|": [0, "M0 -2V17"],
  "(": [3, "M3 -2C-1 4 -1 11 3 17"],
  ")": [3, "M0 -2C4 4 4 11 0 17"],
  "[": [3, "M3 -1.6H0V16.6H3"],
  "]": [3, "M0 -1.6H3V16.6H0"],
  "{": [4.5, "M4.5 -1.6C0 -1.6 4 7.5 0 7.5C4 7.5 0 16.6 4.5 16.6"],
  "}": [4.5, "M0 -1.6C4.5 -1.6 .5 7.5 4.5 7.5C.5 7.5 4.5 16.6 0 16.6"],
  "<": [7, "M7 4.4L0 8.4L7 12.4"],
  ">": [7, "M0 4.4L7 8.4L0 12.4"],
  "*": [6, "M3 0V7M0 1.8L6 5.2M6 1.8L0 5.2"],
  "^": [6, "M0 5L3 0L6 5"],
  "`": [2, "M0 0L2 2.6"],
  "#": [9, "M3.2 0L1.8 14M7.4 0L6 14M.4 4.6H9M0 9.4H8.6"],
  $: [
    8.6,
    "M8.2 3.4C7.3 1.9 6 1.2 4.3 1.2C2 1.2 .3 2.3 .3 4.1C.3 8.2 8.6 5.9 8.6 9.9C8.6 11.7 6.9 12.8 4.5 12.8C2.4 12.8 .9 12 0 10.5M4.3 -1.4V15.4",
  ],
  "%": [
    13,
    "M11 0L2 14M0 3.2A2.6 3.2 0 1 1 5.2 3.2A2.6 3.2 0 1 1 0 3.2M7.8 10.8A2.6 3.2 0 1 1 13 10.8A2.6 3.2 0 1 1 7.8 10.8",
  ],
  "&": [10.5, "M10.5 14L3 5C.6 2 2.4 0 4.6 0C7.4 0 8.2 3.4 5.2 5.4L3 6.8C-1.4 9.6 .2 14 4 14C7.4 14 9.6 11.2 9.8 7.8"],
  "@": [13, "M9.4 5V8.6C9.4 11.4 13 11 13 7A6.5 7 0 1 0 9.6 13.2M9.4 7.4A2.7 2.9 0 1 1 4 7.4A2.7 2.9 0 1 1 9.4 7.4"],
  "·": [0, "M0 8.4v.01"],
  "×": [6, "M0 5.4L6 11.4M6 5.4L0 11.4"],
  "–": [8, "M0 8.6H8"],
  "—": [12, "M0 8.6H12"],
};
const straightQuotes: Readonly<Record<string, string>> = { "‘": "'", "’": "'", "“": '"', "”": '"' };
// Stands for a character that the font has not.
const box: Glyph = [7, "M0 1H7V14H0Z"];

/** Width of a line of text in pixels. */
export function textWidth(text: string, height: number): number {
  const { advance } = layOut(text);
  return (Math.max(0, advance - gap) * height) / capital;
}

/** The text, shortened with an ellipsis where it is wider than `width` pixels. */
export function fitText(text: string, height: number, width: number): string {
  if (textWidth(text, height) <= width) return text;
  const characters = [...text];
  while (characters.length > 0 && textWidth(`${characters.join("").trimEnd()}…`, height) > width) characters.pop();
  return `${characters.join("").trimEnd()}…`;
}

/** The text in lines of at most `width` pixels, broken between words. */
export function wrapText(text: string, height: number, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const longer = lines.length > 0 ? `${lines.at(-1)} ${word}` : word;
    if (lines.length > 0 && textWidth(longer, height) <= width) lines[lines.length - 1] = longer;
    else lines.push(fitText(word, height, width));
  }
  return lines;
}

/** An SVG element that draws the label. */
export function textPath({ text, x, y, height, color, weight = 0.12 }: Label): string {
  const scale = height / capital;
  const strokes = layOut(text)
    .glyphs.map(({ at, path }) => `<path transform="translate(${round(at)})" d="${path}"/>`)
    .join("");
  const place = `translate(${round(x)} ${round(y - height)}) scale(${round(scale)})`;
  const style = `fill="none" stroke="${color}" stroke-width="${round(weight * capital)}" stroke-linecap="round" stroke-linejoin="round"`;
  return `<g transform="${place}" ${style}>${strokes}</g>`;
}

function layOut(text: string): { glyphs: { at: number; path: string }[]; advance: number } {
  const placed: { at: number; path: string }[] = [];
  let advance = 0;
  // Accents go, and ligatures, ellipses and the like become plain characters.
  for (const character of text.normalize("NFKD").replace(/\p{M}|\p{Cf}/gu, "")) {
    if (/\s/.test(character)) {
      advance += space;
      continue;
    }
    const [width, path] = glyphs[straightQuotes[character] ?? character] ?? box;
    placed.push({ at: advance, path });
    advance += width + gap;
  }
  return { glyphs: placed, advance };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

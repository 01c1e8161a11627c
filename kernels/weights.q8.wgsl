// 8-bit weights in blocks: four codes a word, and behind all of them a scale of half precision for each 32 rows of a column, four columns in two words.

const IN_BLOCKS = true;

// Scales of the four columns `index` from the word `start` on, where the scales begin.
fn block_scale(start: u32, index: u32) -> vec4f {
  let at = start + 2u * index;
  return vec4f(unpack2x16float(w[at]), unpack2x16float(w[at + 1u]));
}
fn scaled(v: vec4f, scale: vec4f) -> vec4f { return v * scale; }

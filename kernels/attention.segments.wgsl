// Operands that the kernels of attention share. Keys and values come in up to three segments (the feature map itself, the text, the neighbours);
// table [B, SEGMENTS, 2] gives for each sample and segment the row to begin at and how many tokens count from there (a sample's
// neighbours are consecutive rows, read as one).
// q [B, QUERIES, Q_STRIDE]; segments s0, s1, s2 [rows, tokens, stride] with keys and values at channel offsets; bias [QUERIES + S0_TOKENS - 1, HEADS]
// (T5's relative bias of segment 0: a row a distance from the query to the key, -(QUERIES - 1) first); y [B, QUERIES, HEADS * D].
// Prelude: D, ELEMENT (channels a storage element: 1 or 4). Uniform: QUERIES, HEADS, Q_OFFSET, Q_STRIDE, SEGMENTS, Sn_TOKENS, Sn_STRIDE, Sn_KEYS, Sn_VALUES (offsets), HAS_BIAS, CAUSAL (of segment 0,
// a query sees the keys up to its own place), D4 (D in vec4), SCALE (bits of an f32).

@group(0) @binding(0) var<storage, read> q: array<q_t>;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> s0: array<s_t>;
@group(0) @binding(4) var<storage, read> s1: array<s_t>;
@group(0) @binding(5) var<storage, read> s2: array<s_t>;
@group(0) @binding(6) var<storage, read_write> y: array<y_t>;

// Where token `token` of segment `segment` begins, in elements, for the row that `sample` reads.
fn token_start(segment: u32, sample: u32, token: u32) -> u32 {
  let row = table[(sample * u.SEGMENTS + segment) * 2u];
  if (segment == 0u) { return (row * u.S0_TOKENS + token) * u.S0_STRIDE; }
  if (segment == 1u) { return (row * u.S1_TOKENS + token) * u.S1_STRIDE; }
  return (row * u.S2_TOKENS + token) * u.S2_STRIDE;
}

// A table is data: what it asks for beyond the end of the segment is cut off.
fn token_count(segment: u32, sample: u32) -> u32 {
  let row = table[(sample * u.SEGMENTS + segment) * 2u];
  let length = table[(sample * u.SEGMENTS + segment) * 2u + 1u];
  if (segment == 0u) { return min(length, remaining(arrayLength(&s0), u.S0_STRIDE, row * u.S0_TOKENS)); }
  if (segment == 1u) { return min(length, remaining(arrayLength(&s1), u.S1_STRIDE, row * u.S1_TOKENS)); }
  return min(length, remaining(arrayLength(&s2), u.S2_STRIDE, row * u.S2_TOKENS));
}

fn remaining(elements: u32, stride: u32, start: u32) -> u32 {
  let tokens = elements * ELEMENT / max(stride, 1u);
  return tokens - min(tokens, start);
}

// How many tokens the queries before `end` see at most.
fn seen_count(segment: u32, sample: u32, end: u32) -> u32 {
  let count = token_count(segment, sample);
  return select(count, min(count, end), u.CAUSAL != 0u && segment == 0u);
}

// Where the bias of a query and its first key begins; the next key's is HEADS on.
fn bias_start(query: u32, head: u32) -> u32 {
  return (u.QUERIES - 1u - query) * u.HEADS + head;
}

fn key_offset(segment: u32) -> u32 {
  return select(select(u.S2_KEYS, u.S1_KEYS, segment == 1u), u.S0_KEYS, segment == 0u);
}

fn value_offset(segment: u32) -> u32 {
  return select(select(u.S2_VALUES, u.S1_VALUES, segment == 1u), u.S0_VALUES, segment == 0u);
}

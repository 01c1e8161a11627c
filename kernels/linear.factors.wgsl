// What the linear layer multiplies, for `matrix.product` and `tiled.product`: rows of x by columns of w, DEPTH values a step. For GPUs; not yet measured on one.

// Where a row of x begins; rows past the edge repeat the last one and are dropped.
alias Place = u32;

fn rows() -> u32 { return arrayLength(&y) / u.N4; }
fn columns4() -> u32 { return u.N4; }
fn steps() -> u32 { return (4u * u.K4 + DEPTH - 1u) / DEPTH; }
fn place_of(row: u32) -> Place { return min(row, rows() - 1u) * u.K4; }

fn left_at(place: Place, step: u32, part: u32) -> vec4<operand> {
  let k = step * (DEPTH / 4u) + part;
  if (k >= u.K4) { return vec4<operand>(); }
  return operand_x4(x[place + k]);
}

fn right_at(step: u32, k: u32, column: u32) -> vec4<operand> {
  let row = step * DEPTH + k;
  if (row >= 4u * u.K4 || column >= u.N4) { return vec4<operand>(); }
  let stored = w[row * u.N4 + column];
  if (IN_BLOCKS) { return vec4<operand>(scaled(load_w4(stored), scale_of(row / 32u, column))); }
  return operand_w4(stored);
}

// What the convolution multiplies, for `matrix.product` and `tiled.product`: an implicit product of pixels by taps and channels, by outputs.
// A step is DEPTH channels of one tap, the last of a tap filled up with zeros. For GPUs; not yet measured on one.

// A pixel of y: the first input row of its sample, its own row and column.
struct Place { sample: u32, row: u32, column: u32 }

fn rows() -> u32 { return arrayLength(&y) / u.O4; }
fn columns4() -> u32 { return u.O4; }
fn slices() -> u32 { return (4u * (u.C4 + u.X2_C4) + DEPTH - 1u) / DEPTH; }
fn steps() -> u32 { return u.KH * u.KW * slices(); }

// Pixels past the edge repeat the last one and are dropped.
fn place_of(row: u32) -> Place {
  let pixel = min(row, rows() - 1u);
  let line = pixel / u.WO;
  return Place(line / u.HO * u.H, line % u.HO, pixel % u.WO);
}

fn left_at(place: Place, step: u32, part: u32) -> vec4<operand> {
  let tap = step / slices();
  let channel = step % slices() * (DEPTH / 4u) + part;
  let line = source(place.row, tap / u.KW, u.H);
  let column = source(place.column, tap % u.KW, u.W);
  if (line.y * column.y == 0u || channel >= u.C4 + u.X2_C4) { return vec4<operand>(); }
  let pixel = (place.sample + line.x) * u.W + column.x;
  if (HAS_X2 && channel >= u.C4) { return operand_z4(x2[pixel * u.X2_C4 + channel - u.C4]); }
  return operand_x4(x[pixel * u.C4 + channel]);
}

fn right_at(step: u32, k: u32, column: u32) -> vec4<operand> {
  let inputs = 4u * (u.C4 + u.X2_C4);
  let channel = step % slices() * DEPTH + k;
  if (channel >= inputs || column >= u.O4) { return vec4<operand>(); }
  let row = step / slices() * inputs + channel;
  let stored = w[row * u.O4 + column];
  if (IN_BLOCKS) { return vec4<operand>(scaled(load_w4(stored), scale_of(row / 32u, column))); }
  return operand_w4(stored);
}

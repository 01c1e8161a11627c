// Which pixels of the source a resized pixel takes, in whole numbers and so without rounding; shared by the kernels of resize.
// x [B, IN_H, IN_W, C] to y [B, OUT_H, OUT_W, C]. Prelude: those extents, BILINEAR (else nearest), CORNERS.

// Two neighbouring source positions and the share of the second.
struct Taps { first: u32, second: u32, share: f32 }

fn taps(at: u32, source: u32, target_extent: u32) -> Taps {
  if (!BILINEAR) {
    let nearest = at * source / target_extent;
    return Taps(nearest, nearest, 0.0);
  }
  if (CORNERS) {
    // The outermost pixels coincide: at (source - 1) / (target - 1), in units of 1 / (target - 1).
    let intervals = max(target_extent - 1u, 1u);
    let place = at * (source - 1u);
    let left = place / intervals;
    return Taps(left, min(left + 1u, source - 1u), f32(place % intervals) / f32(intervals));
  }
  // Centres coincide: (at + 1/2) source / target - 1/2, clamped at the first pixel, in units of 1 / (2 target).
  let position = max((2u * at + 1u) * source, target_extent) - target_extent;
  let first = position / (2u * target_extent);
  return Taps(first, min(first + 1u, source - 1u), f32(position % (2u * target_extent)) / f32(2u * target_extent));
}

// A dispatch that does next to nothing, for what a dispatch itself costs; each depends on the one before, as a graph's do.
// y [1].

@group(0) @binding(0) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(1)
fn main() { y[0] += 1u; }

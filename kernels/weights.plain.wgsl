// Weights as they are, for the kernels that can also read 8-bit ones: nothing to scale.

const IN_BLOCKS = false;

fn block_scale(start: u32, index: u32) -> vec4f { return vec4f(); }
fn scaled(v: vec4f, scale: vec4f) -> vec4f { return v; }

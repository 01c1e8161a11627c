// s + w x in four multiply-adds for each of its parts; put before kernels for GPUs. `s + w * x` would be five instructions: a product of
// matrix and vector is summed by itself before it is added. Not yet measured on a GPU.

fn multiply_add(s: vec4f, w: mat4x4f, x: vec4f) -> vec4f { return s + w[0] * x.x + w[1] * x.y + w[2] * x.z + w[3] * x.w; }

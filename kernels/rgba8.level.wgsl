// One colour channel of [-1, 1] as a whole number of 0 to 255, shared by the kernels that show a picture.

fn level(v: vec3f) -> vec3f {
  return floor(clamp((v + 1.0) * 127.5, vec3f(0.0), vec3f(255.0)) + 0.5);
}

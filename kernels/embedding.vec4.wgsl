// Rows of a table by number, four values a thread; a number beyond the table gives zeros. For any adapter.
// table [V, D], ids [n], y [n, D]. Uniform: WIDTH (D in vec4).

@group(0) @binding(0) var<storage, read> table: array<table4>;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<y4>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let row = ids[index / u.WIDTH];
  var v = vec4f();
  if (row < arrayLength(&table) / u.WIDTH) { v = load_table4(table[row * u.WIDTH + index % u.WIDTH]); }
  y[index] = store_y4(v);
}
